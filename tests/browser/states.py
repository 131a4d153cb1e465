"""Every state of the chat page, and how to get there: for tests and for screenshots."""

from __future__ import annotations

from collections.abc import Callable

from tests.browser.chat import ELSEWHERE, Stage

THOUGHT = ["<think>", "The wheel turns ", "the stone.", "</think>", "A mill", " turns."]
WHY = "How does a mill work?"


def empty(stage: Stage) -> None:
    stage.wait("document.querySelector('.examples')")


def waiting(stage: Stage) -> None:
    stage.hold(0)
    stage.ask(WHY)
    stage.wait_text(".state", stage.run("return MillstreamPage.say('waiting')"))


def thinking(stage: Stage) -> None:
    stage.upstream.tokens = list(THOUGHT)
    stage.hold(3)
    stage.ask(WHY)
    stage.wait("document.querySelector('.thoughts')")


def streaming(stage: Stage) -> None:
    stage.hold(20)
    stage.ask(WHY)
    stage.wait_text(".answer", "word19")


def done(stage: Stage) -> None:
    stage.upstream.tokens = list(THOUGHT)
    stage.asked_and_ended(WHY)


def reconnecting(stage: Stage) -> None:
    streaming(stage)
    stage.door.shut()
    stage.wait("document.querySelector('.state.lost')")


def stopped(stage: Stage) -> None:
    streaming(stage)
    stage.click(".go")
    stage.wait("document.querySelector('.notice')")


def failed(stage: Stage) -> None:
    stage.upstream.cut_after = 5
    stage.ask(WHY)
    stage.wait("document.querySelector('.notice.failed')")


def refused(stage: Stage) -> None:
    stage.door.says("/chat", 429, "requests", retry_after=30)
    stage.ask(WHY)
    stage.wait("document.querySelector('.notice.failed')")


def offline(stage: Stage) -> None:
    lang, theme = stage.look
    stage.fresh(lang=lang, theme=theme, host=ELSEWHERE)
    done(stage)
    stage.type("A draft")
    network(stage, offline=True)
    stage.wait("document.querySelector('.state.offline')")


def network(stage: Stage, *, offline: bool) -> None:
    stage.browser.execute_cdp_cmd("Network.enable", {})
    stage.browser.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
    )


def signed_out(stage: Stage) -> None:
    stage.door.says("/chat", 401, "missing_key")
    stage.ask(WHY)
    stage.wait("document.querySelector('.relogin')")


def editing(stage: Stage) -> None:
    stage.asked_and_ended(WHY)
    stage.click("[data-edit]")
    stage.wait("document.querySelector('.editing:not([hidden])')")


def replaced(stage: Stage) -> None:
    stage.asked_and_ended(WHY)
    stage.click("[data-again]")
    stage.wait("document.querySelector('.undo')")
    stage.ended()


def unstuck(stage: Stage) -> None:
    stage.upstream.tokens = [f"Line {n}\n\n" for n in range(60)]
    stage.hold(40)
    stage.ask(WHY)
    stage.wait_text(".answer", "Line 39")
    stage.run("document.dispatchEvent(new WheelEvent('wheel', {deltaY: -100})); window.scrollTo(0, 100);")
    stage.release()
    stage.wait("document.querySelector('.pill:not([hidden])')")
    stage.ended()


def settings(stage: Stage) -> None:
    stage.click("[aria-controls=settings]")
    stage.wait("document.querySelector('.panel:not([hidden])')")


def keys(stage: Stage) -> None:
    settings(stage)
    stage.click(".panel .link")
    stage.wait("document.querySelector('.sheet')")


def drawer(stage: Stage) -> None:
    done(stage)
    stage.run("document.querySelector('.menu').click()")  # it is hidden where the rail always stands


STATES: dict[str, Callable[[Stage], None]] = {
    state.__name__: state
    for state in (
        empty,
        waiting,
        thinking,
        streaming,
        done,
        reconnecting,
        stopped,
        failed,
        refused,
        offline,
        signed_out,
        editing,
        replaced,
        unstuck,
        settings,
        keys,
        drawer,
    )
}
