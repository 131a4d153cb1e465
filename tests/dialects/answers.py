"""Neutral events of answers, and what writers make of them."""

from __future__ import annotations

import json

from millstream.events import End, Event, Failure, Meta, Piece, Usage, number
from millstream.wire.sse import Decoder

META = Meta("A" * 22, "anyone", "w", 1764273600.0, "m1", prompt=9)
USAGE = Usage(14, 7, cached=4, reasoning=3)


def done(reason="stop", **more):
    return Event("done", end=End("m1", "up", reason, USAGE, **more))


def call(index, text, id="", name=""):
    return Event("call", text, call=Piece(index, id, name))


TEXT = [Event(text="Hel"), Event(text="lo"), done()]
THOUGHT = [Event("reasoning", "Let"), Event("reasoning", signature="SIG==", origin="messages"), *TEXT]
PARIS = [call(0, "", "call_a", "weather"), call(0, '{"city":'), call(0, '"Paris"}')]
ROME = [call(1, "", "call_b", "weather"), call(1, '{"city":"Rome"}')]
CALLS = [Event("reasoning", "Let"), Event(text="Hel"), *PARIS, *ROME, done("tool_calls")]
MIXED = [PARIS[0], ROME[0], PARIS[1], ROME[1], PARIS[2], done("tool_calls")]
LENGTH = [Event(text="Hel"), done("length")]
REFUSED = [Event(text="I can", refusal=True), Event(text="not", refusal=True), done("stop")]
BROKEN = Failure("It broke.", "upstream_error", "upstream_broke")
FAILED = [Event(text="Hel"), Event("failed", end=End("m1", "up", failure=BROKEN))]


def write(writer, events):
    """The bytes of a whole answer."""
    events = number(events, 0)
    return writer.opening() + b"".join(writer.encode([event]) for event in events[:-1]) + writer.closing(events[-1])


def sse(data):
    """(event, data) of each event; data decoded."""
    found = Decoder().feed(data)
    return [(one.type, json.loads(one.data) if one.data != b"[DONE]" else "[DONE]") for one in found]
