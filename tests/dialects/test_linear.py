"""Answers of a foreign server that are made to take long: what reads and writes them is linear in their length."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from millstream.dialects.chat.reader import Chunks
from millstream.dialects.chat.whole import assemble
from millstream.dialects.messages import whole as messages
from millstream.dialects.messages.answer import Writer
from millstream.dialects.messages.reader import Events
from millstream.dialects.ollama import answer as ollama
from millstream.events import End, Event, Piece, number
from millstream.formats import Options
from millstream.formats.json import Json
from tests.dialects.answers import META, done

MANY = 40_000
PIECE = "x" * 400
LIMIT = 6.0  # s of the processor's time; the quadratic ones took 10 to 60


def pieces_behind_an_open_call() -> None:
    first = Event("call", '{"a":"' + "x" * 50 * MANY, call=Piece(0, "a", "f"))
    others = [Event("call", "{}", call=Piece(1 + n % 2, "b", "g")) for n in range(MANY)]
    Writer(META).encode(number([first, *others], 0))


def a_signature_in_pieces() -> None:
    delta = b'{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"%s"}}' % (
        b"s" * 400
    )
    reader = Events()
    for _ in range(MANY):
        reader.feed(delta)
    (event,) = reader.feed(b'{"type":"content_block_stop","index":0}')
    assert len(event.signature) == 400 * MANY


def calls_with_one_index() -> None:
    calls = [{"index": 0, "id": f"c{n}", "function": {"name": "f"}} for n in range(MANY)]
    reader, events = Chunks(), list[Event]()
    for some in (calls[::2], calls[1::2]):
        events += reader.feed(json.dumps({"choices": [{"delta": {"tool_calls": some}}]}).encode())
    assert len({event.call.index for event in events if event.call}) == len(calls)


def fields_of_each_chunk_alone() -> None:
    frames = [b'{"choices":[{"index":0,"delta":{"x%d":"a"}}]}' % n for n in range(MANY // 2)]
    assert len(assemble(frames, META, End("m", "up"))["choices"][0]["message"]) > len(frames)


def a_whole_message_of_anthropics() -> None:
    event = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": PIECE}}
    (block,) = messages.assemble([event] * MANY)["content"]
    assert block == {"text": PIECE * MANY}


def a_whole_message_of_ollamas() -> None:
    line = {"message": {"role": "assistant", "content": PIECE}}
    assert ollama.assemble([line] * MANY) == {"message": {"role": "assistant", "content": PIECE * MANY}}


def a_call_in_our_json() -> None:
    document = Json(META, Options())
    document.encode(number([Event("call", PIECE, call=Piece(0, "a", "f"))] * MANY, 0))
    assert json.loads(document.closing(done()))["calls"] == [{"id": "a", "name": "f", "arguments": PIECE * MANY}]


@pytest.mark.parametrize(
    "answer",
    [
        pieces_behind_an_open_call,
        a_signature_in_pieces,
        calls_with_one_index,
        fields_of_each_chunk_alone,
        a_whole_message_of_anthropics,
        a_whole_message_of_ollamas,
        a_call_in_our_json,
    ],
)
def test_an_answer_takes_as_long_as_it_is(answer: Callable[[], None]) -> None:
    began = time.process_time()
    answer()
    assert time.process_time() - began < LIMIT
