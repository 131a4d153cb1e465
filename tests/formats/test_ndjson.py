"""application/x-ndjson, byte for byte."""

from millstream.events import End, Event, Failure, Meta, Piece, Usage
from millstream.formats import Options
from millstream.formats.ndjson import Ndjson
from millstream.wire import ndjson

META = Meta(id="abc", owner="me", worker="w1", created=0.0, model="m")
FORMAT = Ndjson(META, Options(url="/streams/abc", position=3))


def test_it_opens_with_an_empty_line_and_start():
    assert FORMAT.opening() == b'\n{"type":"start","id":"abc","url":"/streams/abc","model":"m"}\n'


def test_each_event_is_a_line():
    batch = [
        Event(text="Hé", n=4),
        Event("call", "{", call=Piece(0, "c", "f"), n=5),
        Event(type="reasoning", text="hm", n=6),
    ]
    assert FORMAT.encode(batch) == (
        '{"n":4,"type":"message","text":"Hé"}\n'
        '{"n":5,"type":"call","index":0,"id":"c","name":"f","arguments":"{"}\n{"n":6,"type":"reasoning","text":"hm"}\n'.encode()
    )
    assert FORMAT.encode([]) == b""


def test_done_says_the_facts():
    end = End(model="m", upstream="u", finish_reason="length", usage=Usage(3, 4, "estimated"))
    assert FORMAT.closing(Event(type="done", end=end, n=9)) == (
        b'{"n":9,"type":"done","finish_reason":"length","usage":{"prompt_tokens":3,"completion_tokens":4,'
        b'"total_tokens":7,"source":"estimated"},"cost":null,"currency":null,"model":"m","upstream":"u"}\n'
    )


def test_failed_says_the_error():
    failure = Failure("It broke.", "upstream_error", "upstream_broke", "model")
    assert FORMAT.closing(Event(type="failed", end=End("m", "u", failure=failure), n=2)) == (
        b'{"n":2,"type":"failed","error":{"message":"It broke.","type":"upstream_error",'
        b'"code":"upstream_broke","param":"model"}}\n'
    )


def test_a_heartbeat_is_an_empty_line():
    assert Ndjson.HEARTBEAT == b"\n"
    assert ndjson.Decoder().feed(Ndjson.HEARTBEAT * 3) == []
