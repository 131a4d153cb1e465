"""application/json: the whole answer, and polling."""

import json

from millstream.events import End, Event, Failure, Meta, Usage
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
    assert format.opening() + format.encode(BATCH[:1]) + format.encode(BATCH[1:]) + format.HEARTBEAT == b""
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


def test_a_poll_shows_no_frames():
    assert events([Event(type="frame", frame=b"{}", n=1), *BATCH[:1]]) == [{"n": 1, "type": "message", "text": "Hel"}]
    assert events([]) == []
