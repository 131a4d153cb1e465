"""A question → the body of POST /api/chat: https://docs.ollama.com/api/chat"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from millstream.dialects.abilities import Abilities, check
from millstream.dialects.chat.request import effort
from millstream.dialects.fields import DATA_URL
from millstream.dialects.foreign import Object
from millstream.dialects.ollama.question import CHAT
from millstream.question import Image, Message, Question, Result, Tool, ToolCall

ABILITIES = Abilities(image_address=False, file=False, forced_tool=False, penalties=True)
# Efforts in Ollama's words. Models that can't think accept the first one, too.
EFFORTS: dict[str, bool | str] = {"none": False, "minimal": "low", "low": "low", "medium": "medium"}


def write(question: Question) -> Object:
    """Write the body for Ollama. Raises RequestError (bad_field)."""
    if question.is_in(CHAT):
        most = question.options.max_tokens
        options = {**(question.body.get("options") or {}), **({} if most is None else {"num_predict": most})}
        return {**question.body, "model": question.model, "stream": True, **({"options": options} if options else {})}
    check(question, ABILITIES)
    use = question.options
    options = {
        "temperature": use.temperature,
        "top_p": use.top_p,
        "top_k": use.top_k,
        "num_predict": use.max_tokens,
        "stop": list(use.stop) or None,
        "seed": use.seed,
        "presence_penalty": use.presence_penalty,
        "frequency_penalty": use.frequency_penalty,
    }
    asked: Object = {
        "model": question.model,
        "messages": [written for message in question.messages for written in _messages(message)],
        "stream": True,
        "options": {name: value for name, value in options.items() if value is not None},
    }
    if question.tools and question.choice.mode != "none":
        asked["tools"] = [_tool(tool) for tool in question.tools]
    if use.shape is not None:
        asked["format"] = use.shape.schema if use.shape.schema else "json"
    if wanted := use.effort or effort(use):
        asked["think"] = EFFORTS.get(wanted, "high")
    return asked


def _messages(message: Message) -> Iterator[Object]:
    """Thoughts are left out. A message of results becomes one for each."""
    for part in message.parts:
        if isinstance(part, Result):
            named = {"tool_name": part.name} if part.name else {}
            yield {"role": "tool", "content": part.told, "tool_call_id": part.call, **named, **_images(part.parts)}
    if message.role == "tool":
        return
    role = "system" if message.role == "developer" else message.role
    said_: Object = {"role": role, "content": message.text, **_images(message.parts)}
    if calls := [_call(part) for part in message.parts if isinstance(part, ToolCall)]:
        said_["tool_calls"] = calls
    yield said_


def _images(parts: Any) -> Object:
    found = [
        part.url[match.end() :] for part in parts if isinstance(part, Image) and (match := DATA_URL.match(part.url))
    ]
    return {"images": found} if found else {}


def _call(call: ToolCall) -> Object:
    return {"id": call.id, "function": {"name": call.name, "arguments": call.read()}}


def _tool(tool: Tool) -> Object:
    return {"type": "function", "function": {**tool.described, "parameters": tool.schema}}
