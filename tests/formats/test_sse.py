"""text/event-stream, byte for byte."""

import json

import pytest

from millstream.dialects.chat import writer as chat
from millstream.dialects.messages import answer as messages
from millstream.dialects.ui import answer as ui
from millstream.events import End, Event, Failure, Meta, Piece, Usage
from millstream.formats import Options
from millstream.formats.sse import Sse
from millstream.wire import sse

META = Meta(id="abc", owner="me", worker="w1", created=0.0, model="m")
OPENING = b'retry: 2000\n: ok\nevent: start\ndata: {"id":"abc","url":"/streams/abc","model":"m"}\nid: abc.0\n\n'
OPTIONS = Options(url="/streams/abc")


def test_it_opens_with_retry_a_comment_and_start():
    assert Sse(META, OPTIONS).opening() == OPENING


def test_a_resumed_one_opens_with_the_position_and_another_retry():
    opening = Sse(META, Options(url="/streams/abc", position=17, retry=1731)).opening()
    assert opening == OPENING.replace(b"abc.0", b"abc.17").replace(b"2000", b"1731")


@pytest.mark.parametrize("padding", [2, 3, 100, 2048])
def test_padding_is_a_comment_of_so_many_bytes(padding):
    opening = Sse(META, Options(url="/streams/abc", padding=padding)).opening()
    assert len(opening) == len(OPENING) - len(b": ok\n") + padding
    line = opening.split(b"\n")[1]
    assert len(line) + 1 == padding and line.startswith(b":")


@pytest.mark.parametrize("padding", [0, 1, 2048])
def test_the_opening_is_one_event(padding):
    decoder = sse.Decoder()
    assert [event.type for event in decoder.feed(Sse(META, Options(padding=padding)).opening())] == ["start"]
    assert decoder.retry == 2000


def test_data_comes_before_id():
    batch = [Event(text="Hel", n=1), Event(type="reasoning", text="hm", n=2)]
    assert Sse(META, OPTIONS).encode(batch) == (
        b'data: {"text":"Hel"}\nid: abc.1\n\nevent: reasoning\ndata: {"text":"hm"}\nid: abc.2\n\n'
    )


@pytest.mark.parametrize("text", ["plain", '"\\ \n', "über \u2028 \u2029 \x85 漢字 😀", "\ud800", ""])
def test_many_texts_are_the_same_bytes_as_each_alone(text):
    batch = [Event(text=said, n=n) for n, said in enumerate(["a", text, "b"], 1)]
    writer = Sse(META, OPTIONS)
    assert writer.encode(batch) == b"".join(writer.encode([event]) for event in batch)


def test_nothing_writes_nothing():
    assert Sse(META, OPTIONS).encode([]) == b""


def test_calls_and_other_choices_are_events_of_their_own():
    batch = [Event("call", "{", call=Piece(0, "c", "f"), n=1), Event(text="b", choice=1, n=2)]
    assert Sse(META, OPTIONS).encode(batch) == (
        b'event: call\ndata: {"index":0,"id":"c","name":"f","arguments":"{"}\nid: abc.1\n\n'
        b'event: choice\ndata: {"choice":1,"of":"message","text":"b"}\nid: abc.2\n\n'
    )


def test_done_says_the_facts():
    end = End(model="m", upstream="u", finish_reason="stop", usage=Usage(3, 4), cost="0.0004", currency="USD")
    assert Sse(META, OPTIONS).closing(Event(type="done", end=end, n=9)) == (
        b'event: done\ndata: {"finish_reason":"stop","usage":{"prompt_tokens":3,"completion_tokens":4,'
        b'"total_tokens":7,"source":"upstream"},"cost":"0.0004","currency":"USD","model":"m","upstream":"u"}\n'
        b"id: abc.9\n\n"
    )


def test_failed_says_the_error():
    failure = Failure("It broke.", "upstream_error", "upstream_broke")
    assert Sse(META, OPTIONS).closing(Event(type="failed", end=End("m", "u", failure=failure), n=2)) == (
        b'event: failed\ndata: {"error":{"message":"It broke.","type":"upstream_error","code":"upstream_broke",'
        b'"param":null}}\nid: abc.2\n\n'
    )


def test_a_failure_that_nobody_explained_is_still_an_error():
    (event,) = sse.Decoder().feed(Sse(META, OPTIONS).closing(Event(type="failed", n=1)))
    assert json.loads(event.data)["error"]["code"] == "internal"


@pytest.mark.parametrize("half", [b'data: {"te', b'data: {"text":"a"}\n', b"event: reas", b"id: abc.1", b"\n"])
def test_start_is_whole_behind_the_half_line_that_an_old_browser_kept(half):
    opening = Sse(META, Options(url="/streams/abc", event_source=True)).opening()
    assert opening == OPENING.replace(b"event: start", b"\nevent: start")
    events = sse.Decoder().feed(half + opening)
    assert (events[-1].type, json.loads(events[-1].data)["id"]) == ("start", "abc")


def test_no_block_is_without_data():
    body = OPENING + Sse.HEARTBEAT * 2 + Sse(META, OPTIONS).encode([Event(text="a", n=1)]) + Sse.HEARTBEAT
    assert Sse.HEARTBEAT == b": ping\n"
    *blocks, rest = body.split(b"\n\n")
    assert ["data: " in block.decode() for block in blocks] == [True, True] and rest == Sse.HEARTBEAT


@pytest.mark.parametrize("writer", [Sse, chat.Writer, messages.Writer, ui.Writer])
def test_a_heartbeat_is_a_comment_and_no_block(writer):
    """Libraries that report blocks without data would report it."""
    assert writer.HEARTBEAT == b": ping\n"
