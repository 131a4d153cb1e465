"""A question in the words of chat completions: https://platform.openai.com/docs/api-reference/chat/create"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from millstream.dialects.abilities import Abilities, check
from millstream.dialects.chat.question import NAME
from millstream.dialects.foreign import Object
from millstream.formats.objects import to_json
from millstream.question import (
    FREE,
    Audio,
    File,
    Image,
    Message,
    Options,
    Part,
    Question,
    Result,
    Text,
    Tool,
    ToolCall,
)

SYSTEM = "system"
LENGTHS = ("max_tokens", "max_completion_tokens")

ABILITIES = Abilities(audio=True, file_address=False, penalties=True)

# A thinking budget of at least so many tokens counts as this effort.
EFFORTS = ((8192, "high"), (2048, "medium"), (0, "low"))


def write(question: Question) -> Object:
    """Every field but model and stream. Raises RequestError (bad_field)."""
    if question.is_in(NAME):
        return as_it_came(question)
    check(question, ABILITIES)
    return {"messages": messages(question), **options(question)}


def as_it_came(question: Question) -> Object:
    """The client's own body; the length where it has none."""
    body = {name: value for name, value in question.body.items() if name not in ("model", "stream")}
    most = question.options.max_tokens
    return body if most is None or any(name in body for name in LENGTHS) else {**body, "max_tokens": most}


def messages(question: Question) -> list[Object]:
    """Thoughts are left out: they are signed for one upstream, or for none. What the system says at the beginning
    becomes one message, since templates of open models take no second one; few servers know `developer`."""
    found = [written for message in question.messages for written in _message(message)]
    begin = [message["content"] for message in takewhile(lambda message: message["role"] == SYSTEM, found)]
    if len(begin) < 2 or not all(isinstance(text, str) for text in begin):
        return found
    return [{"role": SYSTEM, "content": "\n\n".join(begin)}, *found[len(begin) :]]


def options(question: Question) -> Object:
    """Every field but model, messages and stream."""
    use = question.options
    asked: Object = {
        "temperature": use.temperature,
        "top_p": use.top_p,
        "max_tokens": use.max_tokens,
        "stop": list(use.stop) or None,
        "seed": use.seed,
        "presence_penalty": use.presence_penalty,
        "frequency_penalty": use.frequency_penalty,
        "response_format": _format(use),
        "reasoning_effort": effort(use),
    }
    if question.tools:
        asked["tools"] = [_tool(tool) for tool in question.tools]
        asked["tool_choice"] = _choice(question)
        asked["parallel_tool_calls"] = use.parallel
    return {name: value for name, value in asked.items() if value is not None}


def effort(use: Options) -> str | None:
    """A budget in tokens is a hint, too."""
    if use.effort is None and use.thinking:
        return next(name for least, name in EFFORTS if use.thinking >= least)
    return None if use.effort == "none" else use.effort  # few servers know that word


def _message(message: Message) -> Iterator[Object]:
    if message.role == "assistant":
        calls = [_call(part) for part in message.parts if isinstance(part, ToolCall)]
        if message.text or not calls:
            yield {"role": "assistant", "content": message.text, **({"tool_calls": calls} if calls else {})}
        else:
            yield {"role": "assistant", "content": None, "tool_calls": calls}
        return
    results = [part for part in message.parts if isinstance(part, Result)]
    for result in results:
        yield {"role": "tool", "tool_call_id": result.call, "content": result.told}
    # A tool's result can't hold a picture here; the picture follows in a user message.
    shown = [part for result in results for part in result.parts if not isinstance(part, Text)]
    if shown:
        yield {"role": "user", "content": [_part(part) for part in shown]}
    if results:
        return
    said: str | list[Object] = message.text
    if not all(isinstance(part, Text) for part in message.parts):
        said = [_part(part) for part in message.parts]
    role = SYSTEM if message.role == "developer" else message.role
    yield {"role": role, "content": said, **({"name": message.name} if message.name else {})}


def _call(call: ToolCall) -> Object:
    arguments = to_json({FREE: call.arguments}).decode() if call.custom else call.arguments or "{}"
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _part(part: Part) -> Object:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        return {
            "type": "image_url",
            "image_url": {"url": part.url, **({"detail": part.detail} if part.detail else {})},
        }
    if isinstance(part, File):
        return {"type": "file", "file": {"filename": part.name or "file", "file_data": part.url}}
    assert isinstance(part, Audio)
    return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}


def _tool(tool: Tool) -> Object:
    strict = {} if tool.strict is None or tool.custom else {"strict": tool.strict}
    return {"type": "function", "function": {**tool.described, "parameters": tool.schema, **strict}}


def _choice(question: Question) -> str | Object:
    choice = question.choice
    return {"type": "function", "function": {"name": choice.name}} if choice.mode == "tool" else choice.mode


def _format(use: Options) -> Object | None:
    shape = use.shape
    if shape is None:
        return None
    if shape.kind == "json_object":
        return {"type": "json_object"}
    schema = {"name": shape.name or "answer", "schema": shape.schema or {}}
    return {"type": "json_schema", "json_schema": schema | ({} if shape.strict is None else {"strict": shape.strict})}
