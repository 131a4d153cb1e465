"""Frames are read where the question came through a dialect, however they come."""

from __future__ import annotations

from millstream.events import Call
from millstream.upstreams.neutral import speak
from millstream.upstreams.openai import OpenAI
from tests.upstreams.fake import CHUNKED, END, LAST, Fake, chunk, event


def test_no_frame_gets_by():
    fake = Fake([CHUNKED, *(chunk(event(text)) for text in ("a", "b", "c")), chunk(END), LAST])
    asked = Call("m", [{"role": "user", "content": "Hi"}], api="responses")
    first, *batches = speak(OpenAI(fake.settings()), "responses").stream(asked)
    assert first == [] and type(first) is list
    events = [event for batch in batches for event in batch]
    assert [event.text for event in events[:-1]] == ["a", "b", "c"]
    assert {event.type for event in events} == {"message", "done"}
    fake.close()
