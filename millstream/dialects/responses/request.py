"""A question → the body of POST /responses: https://platform.openai.com/docs/api-reference/responses/create"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from millstream.dialects.abilities import Abilities, check
from millstream.dialects.chat.request import effort
from millstream.dialects.foreign import Object
from millstream.dialects.responses.ids import theirs
from millstream.dialects.responses.question import NAME
from millstream.dialects.signatures import is_foreign
from millstream.question import File, Image, Message, Part, Question, Result, Shape, Text, Thought, Tool, ToolCall

ABILITIES = Abilities(stop=False)
ENCRYPTED = "reasoning.encrypted_content"
OURS = ("background", "previous_response_id", "conversation")  # of a body: what is kept is kept here


def write(question: Question) -> Object:
    """Write the body for an upstream, which must not store anything. Raises RequestError (bad_field)."""
    most = question.options.max_tokens
    kept: Object = {"model": question.model, "stream": True, "store": False}
    if question.is_in(NAME):
        body = {name: value for name, value in question.body.items() if name not in OURS}
        if isinstance(body.get("input"), list):
            body["input"] = [_returned(item) for item in body["input"] if not _is_foreign(item)]
        return {**body, **kept, **({} if most is None else {"max_output_tokens": most})}
    check(question, ABILITIES)
    use = question.options
    asked: Object = {
        "input": [item for message in question.messages for item in _items(message)],
        "temperature": use.temperature,
        "top_p": use.top_p,
        "max_output_tokens": most,
        "text": {"format": _format(use.shape)} if use.shape else None,
    }
    if wanted := effort(use):
        asked |= {"reasoning": {"effort": wanted, "summary": "auto"}, "include": [ENCRYPTED]}
    if question.tools:
        asked |= {
            "tools": [_tool(tool) for tool in question.tools],
            "tool_choice": _choice(question),
            "parallel_tool_calls": use.parallel,
        }
    return {**kept, **{name: value for name, value in asked.items() if value is not None}}


def _is_foreign(item: Any) -> bool:
    """A thought without this API's own signature: it is not known there by its id."""
    thought = isinstance(item, dict) and item.get("type") == "reasoning"
    return thought and is_foreign(item.get("encrypted_content"))


def _returned(item: Object) -> Object:
    """Return an item with the upstream's original id, or without an id."""
    if not isinstance(id := item.get("id"), str) or (own := theirs(id)) == id:
        return item
    return {name: own if name == "id" else value for name, value in item.items() if own or name != "id"}


def _items(message: Message) -> Iterator[Object]:
    """Thoughts only with this API's own signature."""
    said: list[Part] = []
    for part in message.parts:
        if isinstance(part, Text | Image | File):
            said.append(part)
        elif isinstance(part, Thought):
            if part.signature and part.origin == NAME:
                summary = [{"type": "summary_text", "text": part.text}] if part.text else []
                yield {"type": "reasoning", "summary": summary, "encrypted_content": part.signature}
        elif isinstance(part, ToolCall):
            yield from _message(message, said)
            said = []
            yield _call(part)
        elif isinstance(part, Result):
            yield {"type": "function_call_output", "call_id": part.call, "output": _output(part)}
    yield from _message(message, said)


def _message(message: Message, parts: list[Part]) -> Iterator[Object]:
    content = _content(parts, "output_text" if message.role == "assistant" else "input_text")
    if content:
        yield {"role": message.role, "content": content}


def _content(parts: Iterable[Part], text: str) -> list[Object]:
    content: list[Object] = []
    for part in parts:
        if isinstance(part, Text) and part.text:
            content.append({"type": text, "text": part.text})
        elif isinstance(part, Image):
            detail = {"detail": part.detail} if part.detail else {}
            content.append({"type": "input_image", "image_url": part.url, **detail})
        elif isinstance(part, File):
            field = "file_data" if part.url.startswith("data:") else "file_url"
            named = {"filename": part.name or "file"} if field == "file_data" else {}
            content.append({"type": "input_file", field: part.url, **named})
    return content


def _output(result: Result) -> str | list[Object]:
    texts = all(isinstance(part, Text) for part in result.parts)
    return result.told if texts else _content(result.parts, "input_text")


def _call(call: ToolCall) -> Object:
    if call.custom:
        return {"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": call.arguments}
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments or "{}"}


def _tool(tool: Tool) -> Object:
    if tool.custom:
        return {"type": "custom", **tool.described, **({"format": tool.grammar} if tool.grammar else {})}
    # `strict` defaults to true here, which refuses schemas that chat completions accept.
    return {"type": "function", **tool.described, "parameters": tool.schema, "strict": bool(tool.strict)}


def _choice(question: Question) -> str | Object:
    choice = question.choice
    if choice.mode != "tool":
        return choice.mode
    custom = any(tool.custom for tool in question.tools if tool.name == choice.name)
    return {"type": "custom" if custom else "function", "name": choice.name}


def _format(shape: Shape) -> Object:
    if shape.kind == "json_object":
        return {"type": "json_object"}
    strict = {} if shape.strict is None else {"strict": shape.strict}
    return {"type": "json_schema", "name": shape.name or "answer", "schema": shape.schema or {}, **strict}
