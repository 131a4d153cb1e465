"""application/json: the whole answer, and polling."""

import json

from millstream.events import End, Event, Failure, Meta, Piece, Usage
from millstream.formats import Options
from millstream.formats.json import Json, events
from millstream.formats.ndjson import Ndjson

META = Meta(id="abc", owner="me", worker="w1", created=0.0, model="asked")
FAILED = Event(
    type="failed", end=End("m", "u", failure=Failure("It broke.", "upstream_error", "upstream_broke")), n=3
)
DONE = Event(type="done", end=End("m", "u", "stop", Usage(3, 4), "0.0004", "USD"), n=4)
BATCH = [Event(text="Hel", n=1), Event(type="reasoning", text="hm", n=2), Event(text="lo", n=3)]


def test_the_whole_answer_comes_at_the_end():
    format = Json(META, Options())
    assert format.opening() + format.encode(BATCH[:1]) + format.encode(BATCH[1:]) + format.HEARTBEAT == b" "
    assert json.loads(format.closing(DONE)) == {
        "id": "abc",
        "text": "Hello",
        "reasoning": "hm",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "source": "upstream"},
        "cost": "0.0004",
        "currency": "USD",
        "model": "m",
        "upstream": "u",
    }


def test_an_answer_without_a_word_has_empty_texts():
    whole = json.loads(Json(META, Options()).closing(DONE))
    assert (whole["text"], whole["reasoning"]) == ("", "")


def test_a_failed_one_is_the_error_alone():
    format = Json(META, Options())
    format.encode(BATCH)
    assert json.loads(format.closing(FAILED)) == {
        "error": {"message": "It broke.", "type": "upstream_error", "code": "upstream_broke", "param": None}
    }


def test_a_poll_shows_the_events_as_ndjson_does():
    format = Ndjson(META, Options())
    for last in (DONE, FAILED):
        lines = (format.encode(BATCH) + format.closing(last)).splitlines()
        assert events([*BATCH, last]) == list(map(json.loads, lines))


def test_calls_are_put_together_and_other_choices_left_out():
    format = Json(META, Options())
    format.encode([Event("call", '{"a"', call=Piece(0, "c", "f")), Event("call", ":1}", call=Piece(0))])
    format.encode([Event("call", call=Piece(1, "d", "g")), Event(text="other", choice=1)])
    whole = json.loads(format.closing(DONE))
    assert whole["text"] == ""
    assert whole["calls"] == [
        {"id": "c", "name": "f", "arguments": '{"a":1}'},
        {"id": "d", "name": "g", "arguments": ""},
    ]


def test_a_poll_shows_calls_and_other_choices():
    assert events([Event("call", "{", call=Piece(0, "c", "f"), n=1), Event(text="b", choice=1, n=2)]) == [
        {"n": 1, "type": "call", "index": 0, "id": "c", "name": "f", "arguments": "{"},
        {"n": 2, "type": "choice", "choice": 1, "of": "message", "text": "b"},
    ]
    assert events([]) == []
