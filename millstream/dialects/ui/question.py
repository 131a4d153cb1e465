"""useChat's POST → a question: https://ai-sdk.dev/docs/ai-sdk-ui/chatbot"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from millstream.dialects.fields import Fields
from millstream.dialects.foreign import Object
from millstream.dialects.signatures import untagged
from millstream.formats.objects import to_json
from millstream.question import File, Image, Message, Options, Part, Question, Result, Text, Thought, Tool, ToolCall

NAME = "ui"
OURS = "millstream"  # the name that our providerMetadata stands under
CHAT_MOST = 200  # characters of a chat's id
TOOL = "tool-"
SILENT = ("source-", "data-", "step-")  # parts that say nothing to a model


def read(body: Object) -> Question:
    """`model`, `system`, `tools` (of the browser: name, description, parameters) and the options are what an
    application may add as its `body`."""
    asked = Fields(body)
    chat = asked.text("id", "")
    if len(chat) > CHAT_MOST:
        raise asked.wrong("id", f"has to be a text of at most {CHAT_MOST} characters")
    turns = asked.items("messages")
    if not turns:
        raise asked.wrong("messages", "has to be the whole conversation: none is kept here")
    system = asked.text("system", "")
    said = [message for turn in turns for message in _turn(turn)]
    if not said:
        raise asked.wrong("messages", "says nothing")
    return Question(
        model=asked.model(),
        messages=(*([Message("system", (Text(system),))] if system else []), *said),
        options=Options(
            temperature=asked.number("temperature", 0),
            top_p=asked.number("top_p", 0, 1),
            max_tokens=asked.whole("max_tokens", 1),
            stop=asked.texts("stop"),
        ),
        tools=tuple(_tool(tool) for tool in asked.items("tools")),
        dialect=NAME,
        body=body,
    )


def echo(question: Question) -> Object:
    """The message that the answer goes on with, if it is one: another id would show it twice."""
    last = question.body["messages"][-1]
    id = last.get("id") if last.get("role") == "assistant" else None
    return {"message": id} if isinstance(id, str) and id else {}


def _turn(turn: Fields) -> Iterator[Message]:
    role = turn.role("system", "user", "assistant")
    parts = turn.items("parts")
    if role != "assistant":
        said = tuple(found for part in parts for found in _said(part))
        if said:
            yield Message(role, said)
        return
    steps: list[list[Fields]] = [[]]
    for part in parts:
        if part.text("type") == "step-start":
            steps.append([])
        else:
            steps[-1].append(part)
    for step in steps:
        yield from _step(step)


def _step(parts: list[Fields]) -> Iterator[Message]:
    """Yield the model's message, then the answers of its tools. A call without an answer is left out."""
    said: list[Part] = []
    results: list[Part] = []
    for part in parts:
        kind = part.text("type")
        if kind.startswith(TOOL) or kind == "dynamic-tool":
            result = _result(part)
            if result is not None:
                name = kind.removeprefix(TOOL) if kind.startswith(TOOL) else part.text("toolName")
                said.append(ToolCall(result.call, name, _json(part.get("input") or {})))
                results.append(result)
        else:
            said += _said(part)
    if said:
        yield Message("assistant", tuple(said))
    if results:
        yield Message("tool", tuple(results))


def _result(part: Fields) -> Result | None:
    id, state = part.text("toolCallId"), part.text("state", "")
    if state == "output-available":
        output = part.get("output")
        return Result(id, (Text(output if isinstance(output, str) else _json(output)),))
    if state == "output-error":
        return Result(id, (Text(part.text("errorText", "")),), error=True)
    return Result(id, (Text("The user denied this call."),), error=True) if state == "output-denied" else None


def _said(part: Fields) -> Iterator[Part]:
    kind = part.text("type")
    if kind == "text":
        yield Text(part.text("text"))
    elif kind == "file":
        url, type = part.url("url"), part.text("mediaType", "")
        yield Image(url) if type.startswith("image/") else File(url, part.text("filename", ""))
    elif kind == "reasoning":
        ours = (part.object("providerMetadata") or Fields({})).object(OURS)
        signature = ours.text("signature", "") if ours else ""
        if ours and signature:  # an unsigned one means nothing to any upstream
            yield Thought(part.text("text", ""), *untagged(signature, NAME), redacted=bool(ours.flag("redacted")))
    elif not kind.startswith(SILENT):
        raise part.wrong("type", f"can't be {kind[:40]!r} here")


def _tool(tool: Fields) -> Tool:
    schema = tool.plain("parameters") or tool.plain("inputSchema") or {"type": "object"}
    return Tool(tool.text("name"), tool.text("description", ""), schema)


def _json(value: Any) -> str:
    return to_json(value).decode()
