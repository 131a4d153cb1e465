"""What a format writes, its decoder reads: the same text, whatever is in it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.events import End, Event, Meta, number
from millstream.formats import Options
from millstream.formats.json import Json
from millstream.formats.ndjson import Ndjson
from millstream.formats.sse import Sse
from millstream.formats.text import Text
from millstream.wire import ndjson, sse

META = Meta(id="aB3_-" * 4 + "xy", owner="me", worker="w1", created=0.0, model="m")
DONE = Event(type="done", end=End(model="m", upstream="u", finish_reason="stop"))

# name, the events' texts, what has to arrive
TEXTS = [
    ("plain", ["Hel", "lo"], "Hello"),
    ("LF", ["a\nb\n", "\n"], "a\nb\n\n"),
    ("CR", ["a\rb\r", "\r"], "a\rb\r\r"),
    ("CRLF", ["a\r\nb\r", "\n\r\n"], "a\r\nb\r\n\r\n"),
    ("NUL", ["a\0b\0"], "a\0b\0"),
    ("other controls", ["\x01\x08\x0b\x0c\x1b\x1f\x7f"], "\x01\x08\x0b\x0c\x1b\x1f\x7f"),
    ("U+2028, U+2029 and U+0085", ["a\u2028b\u2029c\u0085d"], "a\u2028b\u2029c\u0085d"),
    ("BOM", ["\ufeffa"], "\ufeffa"),
    ("an event in the text", ["data: x\n\nevent: done\ndata: {}\n\n: ping\nid: 9\nretry: 1\n\n"], None),
    ("JSON in the text", ['{"error":{"message":"\\u0000 \\\\ \\"'], None),
    ("HTML in the text", ["</p><script>alert(1)</script>&amp;"], None),
    ("emoji", ["😀👩‍👩‍👧‍👦", "🇩🇪"], "😀👩‍👩‍👧‍👦🇩🇪"),
    ("a surrogate pair", ["a\ud83d\ude00b"], "a😀b"),
    ("lone surrogates", ["a\ud83db", "\ude00", "c\udfff"], "a\ufffdb\ufffdc\ufffd"),
    ("a pair split over two events", ["a\ud83d", "\ude00b"], "a\ufffd\ufffdb"),
    ("a pair in the wrong order", ["\ude00\ud83d"], "\ufffd\ufffd"),
    ("an empty text", [""], ""),
    ("a megabyte in one event", ["日本\r\n" * (1 << 17)], None),
]
every_text = pytest.mark.parametrize(
    ("texts", "expected"),
    [(texts, "".join(texts) if expected is None else expected) for _, texts, expected in TEXTS],
    ids=[name for name, *_ in TEXTS],
)


def written(format, texts, type="message"):
    """The whole body: first the events one by one, then twice as one batch."""
    events = [Event(type=type, text=text) for text in texts]
    singles, batch = number(events, 0), number(events * 2, len(events))
    parts = [format.opening(), *(format.encode([event]) for event in singles), format.HEARTBEAT, format.encode(batch)]
    return b"".join([*parts, format.closing(DONE)])


@every_text
@pytest.mark.parametrize("type", ["message", "reasoning"])
def test_events_decode_to_the_text(texts, expected, type):
    start, *events, done = sse.Decoder().feed(written(Sse(META, Options()), texts, type))
    assert (start.type, done.type, {event.type for event in events}) == ("start", "done", {type})
    assert "".join(json.loads(event.data)["text"] for event in events) == expected * 3
    assert [event.id for event in events] == [f"{META.id}.{n}" for n in range(1, 3 * len(texts) + 1)]


@every_text
@pytest.mark.parametrize("type", ["message", "reasoning"])
def test_lines_of_json_decode_to_the_text(texts, expected, type):
    start, *events, done = map(json.loads, ndjson.Decoder().feed(written(Ndjson(META, Options()), texts, type)))
    assert (start["type"], done["type"], {event["type"] for event in events}) == ("start", "done", {type})
    assert "".join(event["text"] for event in events) == expected * 3
    assert [event["n"] for event in events] == list(range(1, 3 * len(texts) + 1))


@every_text
@pytest.mark.parametrize(("type", "key"), [("message", "text"), ("reasoning", "reasoning")])
def test_the_json_object_has_the_text(texts, expected, type, key):
    assert json.loads(written(Json(META, Options()), texts, type))[key] == expected * 3


@every_text
def test_plain_text_is_the_text(texts, expected):
    assert written(Text(META, Options()), texts) == (expected * 3).encode()


@every_text
def test_no_line_of_an_event_can_be_broken(texts, expected):
    data = Sse(META, Options()).encode([Event(text=text, n=n) for n, text in enumerate(texts, 1)])
    assert b"\r" not in data and b"\0" not in data
    assert len(data.decode().splitlines()) == data.count(b"\n") == 3 * len(texts)
    lines = Ndjson(META, Options()).encode([Event(text=text, n=n) for n, text in enumerate(texts, 1)])
    assert len(lines.decode().splitlines()) == len(texts)
    assert len(written(Json(META, Options()), texts).decode().splitlines()) == 1


@given(st.lists(st.text(st.characters(codec=None, exclude_categories=())), max_size=5))
@settings(deadline=None)
def test_any_text_survives_in_every_format(texts):
    body = written(Text(META, Options()), texts).decode("utf-8")
    if not any("\ud800" <= char <= "\udfff" for char in "".join(texts)):
        assert body == "".join(texts) * 3
    events = sse.Decoder().feed(written(Sse(META, Options()), texts))
    lines = ndjson.Decoder().feed(written(Ndjson(META, Options()), texts))
    assert "".join(json.loads(event.data)["text"] for event in events[1:-1]) == body
    assert "".join(json.loads(line)["text"] for line in lines[1:-1]) == body
    assert json.loads(written(Json(META, Options()), texts))["text"] == body
