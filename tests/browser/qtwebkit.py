"""Run by Debian's Python: a QtWebKit page, led by lines of JSON on stdin; browsers.py has the other end.

`{"get": url}` answers when the page has loaded, `{"size": [width, height]}` resizes it,
`{"run": script, "arguments": […]}` answers with what the script returns.
"""

import json
import sys

from PyQt5.QtCore import QSocketNotifier, QUrl
from PyQt5.QtWebKit import QWebSettings
from PyQt5.QtWebKitWidgets import QWebPage, QWebView
from PyQt5.QtWidgets import QApplication

WRAP = """(function () { try { return JSON.stringify({value: (function () {%s
}).apply(null, %s)}); } catch (error) { return JSON.stringify({error: String(error)}); } })()"""


class Page(QWebPage):
    def javaScriptConsoleMessage(self, message, line, source):  # Qt's name; it gets errors, too
        errors.append(f"{source}:{line} {message}")


def answer(told):
    print(told if isinstance(told, str) else json.dumps(told), flush=True)


def obey():
    line = sys.stdin.readline()
    if not line:
        application.quit()
        return
    command = json.loads(line)
    if "get" in command:
        awaited.append(command["get"])
        view.load(QUrl(command["get"]))
    elif "size" in command:
        view.resize(*command["size"])
        answer({})
    elif errors:
        answer({"error": "\n".join(errors)})
        errors.clear()
    else:
        script = WRAP % (command["run"], json.dumps(command["arguments"]))
        answer(page.mainFrame().evaluateJavaScript(script) or {"error": "the script could not be read"})


def loaded(ok):
    if awaited:  # and not a page that stops itself later
        awaited.clear()
        answer({} if ok else {"error": "the page did not load"})


errors: list[str] = []
awaited: list[str] = []
application = QApplication(sys.argv[:1])
page, view = Page(), QWebView()
view.setPage(page)
view.resize(1280, 900)
page.settings().setAttribute(QWebSettings.LocalStorageEnabled, True)
page.settings().setLocalStoragePath(sys.argv[1])
view.loadFinished.connect(loaded)
notifier = QSocketNotifier(sys.stdin.fileno(), QSocketNotifier.Read)
notifier.activated.connect(obey)
view.show()
application.exec_()
