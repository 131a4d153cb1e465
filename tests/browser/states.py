"""Every state of the chat page, and how to get there: for tests and for screenshots."""

from __future__ import annotations

from collections.abc import Callable

from tests.browser.chat import ELSEWHERE, Chat

THOUGHT = ["<think>", "The wheel turns ", "the stone.", "</think>", "A mill", " turns."]
WHY = "How does a mill work?"
# The database opens when `held` is called; the page waits for it for longer than its 3 s.
HELD = """Object.defineProperty(IDBOpenDBRequest.prototype, 'onsuccess', {set: function (then) {
  this.addEventListener('success', function () { window.held = then; });
}});
var later = setTimeout;
window.setTimeout = function (act, ms) { return ms === 3000 ? 0 : later.apply(window, arguments); };"""
DRAWN = r"""The power of a wheel is $P = \rho g Q h \eta$, where \(h\) is the height:

\[ \eta = \frac{P_{out}}{\rho g Q h} \approx 0.85 \]

```python
def power(height, flow):
    return 0.85 * 9810 * flow * height  # in watts
```

- [x] ارتفاع الماء
- [ ] كمية الماء

> اقتباس قصير

1986. The comet came by.
1987. Nothing much, for $5 or 10$.

| Wheel | Power |
|---|---|
| https://mill.example/a/very/long/address/that/does/not/end/on/this/line | 12 kW |
"""


def empty(chat: Chat) -> None:
    chat.wait("document.querySelector('.examples')")


def waiting(chat: Chat) -> None:
    chat.hold(0)
    chat.ask(WHY)
    chat.wait_text(".state", chat.run("return MillstreamPage.say('waiting')"))


def thinking(chat: Chat) -> None:
    chat.upstream.tokens = list(THOUGHT)
    chat.hold(3)
    chat.ask(WHY)
    chat.wait("document.querySelector('.thoughts')")


def streaming(chat: Chat) -> None:
    chat.hold(20)
    chat.ask(WHY)
    chat.wait_text(".answer", "word19")


def done(chat: Chat) -> None:
    chat.upstream.tokens = list(THOUGHT)
    chat.asked_and_ended(WHY)


def drawn(chat: Chat) -> None:
    """An answer with a little of everything."""
    chat.upstream.tokens = [DRAWN[n : n + 20] for n in range(0, len(DRAWN), 20)]
    chat.asked_and_ended(WHY)
    chat.wait("document.querySelectorAll('math').length === 3")


def reconnecting(chat: Chat) -> None:
    streaming(chat)
    chat.door.shut()
    chat.wait("document.querySelector('.state.lost')")


def stopped(chat: Chat) -> None:
    streaming(chat)
    chat.click(".go")
    chat.wait("document.querySelector('.notice')")


def failed(chat: Chat) -> None:
    chat.upstream.cut_after = 5
    chat.ask(WHY)
    chat.wait("document.querySelector('.notice.failed')")


def refused(chat: Chat) -> None:
    chat.door.says("/chat", 429, "requests", retry_after=30)
    chat.ask(WHY)
    chat.wait("document.querySelector('.notice.failed')")


def offline(chat: Chat) -> None:
    lang, theme = chat.look
    chat.fresh(lang=lang, theme=theme, host=ELSEWHERE)
    done(chat)
    chat.type("A draft")
    network(chat, offline=True)
    chat.wait("document.querySelector('.state.offline')")


def network(chat: Chat, *, offline: bool) -> None:
    chat.browser.execute_cdp_cmd("Network.enable", {})
    chat.browser.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
    )


def signed_out(chat: Chat) -> None:
    chat.door.says("/chat", 401, "missing_key")
    chat.ask(WHY)
    chat.wait("document.querySelector('.relogin')")


def editing(chat: Chat) -> None:
    chat.asked_and_ended(WHY)
    chat.click("[data-edit]")
    chat.wait("document.querySelector('.editing:not([hidden])')")


def versions(chat: Chat) -> None:
    chat.asked_and_ended(WHY)
    chat.upstream.tokens = list(THOUGHT)
    chat.click("[data-again]")
    chat.wait("document.querySelector('.reply .versions:not([hidden])')")
    chat.ended()


def deleted(chat: Chat) -> None:
    menu(chat)
    chat.click(".item.danger")
    chat.wait("document.querySelector('.undo')")


def unstuck(chat: Chat) -> None:
    chat.upstream.tokens = [f"Line {n}\n\n" for n in range(60)]
    chat.hold(40)
    chat.ask(WHY)
    chat.wait_text(".answer", "Line 39")
    chat.run("document.dispatchEvent(new WheelEvent('wheel', {deltaY: -100})); window.scrollTo(0, 100);")
    chat.release()
    chat.wait("document.querySelector('.pill:not([hidden])')")
    chat.ended()


def settings(chat: Chat) -> None:
    chat.click("[aria-controls=settings]")
    chat.wait("document.querySelector('.panel:not([hidden])')")


def own(chat: Chat) -> None:
    chat.asked_and_ended(WHY)
    chat.click("#own-button")
    chat.find("#own-system").send_keys("Answer briefly.")
    chat.find("#own-temperature").send_keys("2.5")


def menu(chat: Chat) -> None:
    drawer(chat)
    chat.run("document.querySelector('nav li .tool').click()")


def search(chat: Chat) -> None:
    drawer(chat)
    chat.find("#search").send_keys("mill")
    chat.wait("document.querySelector('.hit')")


def too_long(chat: Chat) -> None:
    chat.asked_and_ended(WHY)
    chat.door.says("/chat", 413, "body_too_large")
    chat.ask("And a windmill?")
    chat.wait("document.querySelector('.notice.failed')")


def attached(chat: Chat) -> None:
    """A question with a picture and a file, and the next one with them in the box."""
    attach(chat)
    chat.asked_and_ended("Why does the median look fine while the slowest 1% are so bad?")
    chat.wait("(document.querySelector('.shot img') || {}).naturalWidth && document.querySelector('.paper')")
    attach(chat)
    chat.type("And what if I add a second worker?")


def attach(chat: Chat) -> None:
    chat.browser.execute_async_script(
        """var done = arguments[0], canvas = document.createElement('canvas'), pen = canvas.getContext('2d'), n;
        canvas.width = 1280; canvas.height = 640;
        pen.fillStyle = '#fff'; pen.fillRect(0, 0, 1280, 640);
        pen.lineWidth = 8; pen.strokeStyle = '#b05a2b'; pen.beginPath();
        for (n = 0; n < 1280; n += 8) pen.lineTo(n, 500 - n / 3 + 60 * Math.sin(n / 70));
        pen.stroke();
        canvas.toBlob(function (blob) {
          var data = new DataTransfer();
          data.items.add(new File(['GET /\\n'], 'access.log', {type: 'text/plain'}));
          data.items.add(new File([blob], 'response-times.png', {type: 'image/png'}));
          document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
          done();
        });"""
    )
    chat.wait("document.querySelectorAll('.chip').length === 2")


def blind(chat: Chat) -> None:
    """A picture in the box, and a model that sees none."""
    done(chat)
    attach(chat)
    chat.type("What do you see?")
    chat.run("document.getElementById('own-button').click()")
    chat.run(
        """var model = document.getElementById('model');
        model.value = model.options[1].value;
        model.dispatchEvent(new Event('change'));
        document.querySelector('#own > .tool').click();"""
    )
    chat.wait("document.querySelector('.state.blocked')")


def length(chat: Chat) -> None:
    chat.upstream.finish = "length"
    chat.asked_and_ended(WHY)
    chat.wait("document.querySelector('.notice button')")


def full(chat: Chat) -> None:
    """What a full store does: a transaction is aborted in the end."""
    done(chat)
    chat.run(
        """var put = IDBObjectStore.prototype.put;
        window.room = function () { IDBObjectStore.prototype.put = put; };
        IDBObjectStore.prototype.put = function () {
          var request = put.apply(this, arguments), work = this.transaction;
          if (this.name === 'turns') request.onsuccess = function () { work.abort(); };
          return request;
        };"""
    )
    chat.asked_and_ended("And a windmill?")
    chat.wait("document.querySelector('.kept .warned')")


def no_internet(chat: Chat) -> None:
    done(chat)
    chat.run("Object.defineProperty(navigator, 'onLine', {value: false}); dispatchEvent(new Event('offline'))")
    chat.wait("document.querySelector('.state.no_internet')")


def notify(chat: Chat) -> None:
    streaming(chat)
    chat.run(
        """Object.defineProperty(Notification, 'permission', {value: 'default'});
        MillstreamPage.prefer('notify_asked', false);
        var now = Date.now; Date.now = function () { return now() + 11000; };"""
    )
    chat.wait("document.querySelector('.undo .links')")


def keys(chat: Chat) -> None:
    settings(chat)
    chat.click(".panel .links .link")
    chat.wait("document.querySelector('.sheet')")


def drawer(chat: Chat) -> None:
    done(chat)
    chat.run("document.querySelector('.menu').click()")  # it is hidden where the rail always stands


STATES: dict[str, Callable[[Chat], None]] = {
    state.__name__: state
    for state in (
        empty,
        waiting,
        thinking,
        streaming,
        done,
        drawn,
        reconnecting,
        stopped,
        failed,
        refused,
        offline,
        signed_out,
        editing,
        versions,
        deleted,
        unstuck,
        settings,
        own,
        menu,
        search,
        too_long,
        attached,
        blind,
        length,
        full,
        no_internet,
        notify,
        keys,
        drawer,
    )
}
