"""Serve with waitress, in one process, on systems without gunicorn, such as Windows. `millstream serve` starts it.

https://docs.pylonsproject.org/projects/waitress/en/stable/arguments.html
"""

import os
import signal
import sys

try:
    from millstream.patching import patch
except ImportError:
    sys.exit("Millstream needs gevent: pip install millstream")

patch()

import gevent  # noqa: E402
import waitress  # noqa: E402

from millstream.settings import SettingError, Settings, load  # noqa: E402
from millstream.settings.summary import summary, warning  # noqa: E402

AT_ONCE = 1000  # concurrent answers; each takes one of waitress's threads, which are greenlets here
LACKS = (
    "gunicorn can't run on this system, so waitress serves in one process: there is no local model, no reload "
    "without an interruption, and a client that leaves is noticed at the next token."
)
KEPT = 'streams are kept in memory and end with the server; store = "file:DIR" keeps them in a folder.'


def serve() -> None:
    settings = load()
    if settings.store == Settings(state=settings.state).store:  # the operator has not chosen a store
        os.environ["MILLSTREAM_STORE"] = "memory:"
    from millstream.wsgi import app, follow  # the import creates the application, or exits with an explanation

    host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
    settings = app.extensions["millstream"].settings
    kept = KEPT if settings.store == "memory:" else ""
    for line in (f"http://{host}:{port}/", summary(settings), LACKS, kept, warning(settings, host)):
        if line:
            print(f"Millstream: {line}", flush=True)  # noqa: T201
    follow(app)
    # Python would raise KeyboardInterrupt in any greenlet, which prints a traceback; Ctrl+C ends the main one.
    stop = gevent.get_hub().handle_system_error
    gevent.signal_handler(signal.SIGINT, stop, KeyboardInterrupt, KeyboardInterrupt())
    try:
        # Proxy headers have to reach the application, which decides which proxies to trust.
        waitress.serve(
            app,
            host=host,
            port=int(port),
            threads=AT_ONCE,
            connection_limit=4 * AT_ONCE,
            clear_untrusted_proxy_headers=False,
            ident=None,
            _quiet=True,
        )
    finally:
        app.extensions["millstream"].close()


if __name__ == "__main__":
    try:
        serve()
    except (SettingError, OSError, ValueError) as error:
        sys.exit(f"Millstream can't start: {error}")
