"""Each dialect reads what it has written: a question, and an answer that is cut anywhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from millstream.dialects.blocks import Blocks
from millstream.dialects.chat import question as chat_question
from millstream.dialects.chat import request as chat_request
from millstream.dialects.chat.reader import Chunks
from millstream.dialects.chat.writer import Writer as Chat
from millstream.dialects.completions import question as completions_question
from millstream.dialects.completions import request as completions_request
from millstream.dialects.messages import question as messages_question
from millstream.dialects.messages import request as messages_request
from millstream.dialects.messages.answer import Writer as Messages
from millstream.dialects.messages.reader import Events
from millstream.dialects.ollama import question as ollama_question
from millstream.dialects.ollama import request as ollama_request
from millstream.dialects.ollama.answer import Writer as Ollama
from millstream.dialects.ollama.reader import Lines
from millstream.dialects.reading import Reader
from millstream.dialects.responses import question as responses_question
from millstream.dialects.responses import request as responses_request
from millstream.dialects.responses.answer import Writer as Responses
from millstream.dialects.responses.reader import Events as ResponsesEvents
from millstream.events import Event
from millstream.question import (
    Image,
    Message,
    Options,
    Question,
    Result,
    Shape,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
)
from millstream.upstreams.answers import Sniffed
from millstream.upstreams.decoder import Decoder
from millstream.upstreams.ollama import Objects
from tests.dialects.answers import CALLS, LENGTH, META, MIXED, REFUSED, TEXT, THOUGHT, write
from tests.upstreams.recorded import CALL, decode

ODD = [Event(text="½ a 😀 pair\u2028\n\ndata: x"), *TEXT]
ANSWERS = {
    "text": TEXT,
    "thought": THOUGHT,
    "calls": CALLS,
    "calls mixed": MIXED,
    "length": LENGTH,
    "refused": REFUSED,
    "odd": ODD,
}
# Writer, reader, what cuts the bytes, and what the dialect has no words for in an answer.
DOORS: dict[str, tuple[Callable[..., Any], Callable[[], Reader], Any, tuple[str, ...]]] = {
    "chat": (Chat, Chunks, Sniffed, ("signature",)),
    "completions": (partial(Chat, chat=False), Chunks, Sniffed, ()),
    "messages": (Messages, Events, Sniffed, ("refusal",)),
    "responses": (Responses, ResponsesEvents, Sniffed, ()),
    "ollama": (Ollama, Lines, Objects, ("signature", "refusal")),
}


def told(events: list[Event], without: tuple[str, ...]) -> dict[str, Any]:
    """What an answer says, in the words that a dialect has."""
    blocks, done = Blocks(META.id).whole(events), events[-1]
    assert done.end is not None and done.end.usage is not None
    said: dict[str, Any] = {"reason": blocks.reason(done.end), "usage": (done.end.usage.input, done.end.usage.output)}
    for block in blocks.blocks:
        kind = "text" if block.kind == "refusal" and "refusal" in without else block.kind
        said.setdefault(kind, []).append((block.input if kind == "call" else block.text, block.name, block.id))
        if block.signature and "signature" not in without:
            said["signature"] = (block.signature, block.origin)
    return said


TEXTS = ("text", "length", "odd")
SAYS = [(door, name) for door in DOORS for name in ANSWERS if door != "completions" or name in TEXTS]


@pytest.mark.parametrize(("door", "name"), SAYS)
def test_an_answer_cut_at_every_byte(door: str, name: str) -> None:
    writer, reader, source, without = DOORS[door]
    events = [replace(event, origin=door if event.origin else "") for event in ANSWERS[name]]
    data = write(writer(replace(META, api=door, echo={"usage": True})), events)
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        batches, error = decode(pieces, Decoder(reader(), CALL, "test"), source)
        assert error is None
        assert told([event for batch in batches for event in batch], without) == told(events, without)


PNG = "data:image/png;base64,iVBORw0KGgo="
WEATHER = Tool("weather", "of a city", {"type": "object", "properties": {"city": {"type": "string"}}}, False)
SAID = (
    Message("system", (Text("Be brief."),)),
    Message("user", (Text("What is this, and how is it there?"), Image(PNG))),
    Message(
        "assistant",
        (Thought("Let me", "SIG==", "messages"), Text("Look."), ToolCall("c1", "weather", '{"city":"Rome"}')),
    ),
    Message("tool", (Result("c1", (Text("22"),)),)),
    Message("user", (Text("And?"),)),
)
SHAPE = Shape("json_schema", {"type": "object"}, "answer", True)
USE = Options(temperature=0.5, top_p=0.25, max_tokens=50, stop=("END",), shape=SHAPE)
QUESTION = Question("m", SAID, USE, (WEATHER,), ToolChoice("auto"))


def comparable(question: Question, lacks: tuple[str, ...]) -> dict[str, Any]:
    """The question as data, without what its dialect has no words for."""
    told = msgspec.to_builtins(question)
    for name in ("dialect", "body", "stream", "model", *lacks):
        told.pop(name, None)
        told["options"].pop(name, None)
    told["choice"].setdefault("mode", "auto")
    for message in told["messages"]:
        message["parts"] = [part for part in message["parts"] if part["type"] not in lacks]
        for part in message["parts"]:
            part.pop("name" if part["type"] == "result" else "", None)
    for tool in told["tools"]:
        tool.pop("strict" if "strict" in lacks else "", None)
    for name in ("name", "strict"):
        told["options"].get("shape", {}).pop(name if name in lacks else "", None)
    return told


# What writes a question, what reads it, and what the dialect has no words for in it.
QUESTIONS: dict[str, tuple[Callable[[Question], Any], Callable[[Any], Question], tuple[str, ...]]] = {
    "chat": (chat_request.write, chat_question.read, ("thought",)),
    "messages": (
        lambda question: messages_request.write(question, 9, {}),
        messages_question.read,
        ("strict", "name"),
    ),
    "responses": (responses_request.write, responses_question.read, ("thought", "stop")),
    "ollama": (ollama_request.write, ollama_question.read, ("thought", "strict", "name")),
}


@pytest.mark.parametrize("door", QUESTIONS)
def test_a_question(door: str) -> None:
    write, read, lacks = QUESTIONS[door]
    options = {} if "stop" not in lacks else {"stop": ()}
    asked = replace(QUESTION, options=replace(USE, **options))
    body = msgspec.json.decode(msgspec.json.encode({"model": "m", **write(asked)}))
    assert comparable(read(body), lacks) == comparable(asked, lacks)


def test_a_prompt() -> None:
    asked = Question("m", (Message("user", (Text("Once"),)),), Options(max_tokens=5, stop=("END",), seed=7))
    read = completions_question.read(completions_request.write(asked, 9))
    assert (read.messages, read.options, read.beyond) == (asked.messages, asked.options, ())
