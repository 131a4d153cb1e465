"""A question in Spark's words. Pure. https://www.xfyun.cn/doc/spark/Web.html, …/X1ws.html"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from millstream.dialects.abilities import Abilities, check
from millstream.errors import RequestError
from millstream.question import Message, Options, Question, Result, Tool, ToolCall


class Model(Struct, frozen=True):
    """Path and domain belong together: another pair is refused with the code 10404.

    `system`: it takes a system message (by the documentation Max, Ultra and X); `functions`: it calls them.
    """

    path: str
    domain: str
    max_tokens: int = 8192
    temperature: float = 1.0
    system: bool = False
    functions: bool = False
    top_p: bool = False


MODELS = {
    "lite": Model("/v1.1/chat", "lite", 4096),
    "generalv2": Model("/v2.1/chat", "generalv2"),
    "generalv3": Model("/v3.1/chat", "generalv3"),
    "pro-128k": Model("/chat/pro-128k", "pro-128k", 4096),
    "generalv3.5": Model("/v3.5/chat", "generalv3.5", system=True, functions=True),
    "max-32k": Model("/chat/max-32k", "max-32k", system=True),
    "4.0Ultra": Model("/v4.0/chat", "4.0Ultra", system=True, functions=True),
    "spark-x": Model("/v1/x1", "spark-x", 32768, 2.0, system=True, top_p=True),
    "spark-x2": Model("/x2", "spark-x", 32768, 2.0, system=True, top_p=True),
}
COLDEST = 0.01  # 0 is outside of every model's range
TOP_K = 6
LONGEST_UID = 32  # characters
BETWEEN = "\n\n"  # messages that are joined


def write(question: Question, model: Model, app_id: str, caller: str) -> str:
    """Build the one message that is sent. Raises RequestError (bad_field) for what the model can't do."""
    check(question, abilities(model))
    header = {"app_id": app_id}
    if caller:
        header["uid"] = uid(caller)
    payload: dict[str, Any] = {"message": {"text": messages(question.messages, model.system)}}
    if question.tools and question.choice.mode != "none":
        payload["functions"] = {"text": [_function(tool) for tool in question.tools]}
    asked = {
        "header": header,
        "parameter": {"chat": {"domain": model.domain, **parameters(question.options, model)}},
        "payload": payload,
    }
    try:
        return msgspec.json.encode(asked).decode()
    except UnicodeEncodeError as error:
        raise RequestError(
            "bad_field", "messages hold half of a surrogate pair; send whole characters.", "messages"
        ) from error


def abilities(model: Model) -> Abilities:
    return Abilities(
        image=False,
        file=False,
        tools=model.functions,
        forced_tool=False,
        shown_result=False,
        stop=False,
        top_p=model.top_p,
        json_object=False,
        json_schema=False,
    )


def uid(caller: str) -> str:
    """The caller's name; a digest of it where Spark would not take it."""
    if re.fullmatch(rf"[!-~]{{1,{LONGEST_UID}}}", caller):
        return caller
    return hashlib.sha256(caller.encode("utf-8", "surrogatepass")).hexdigest()[:LONGEST_UID]


def parameters(options: Options, model: Model) -> dict[str, float]:
    """temperature, max_tokens and top_k, each held to the model's range: the nearest that it can do. top_p where
    the model has it."""
    ranges: dict[str, tuple[float, float]] = {
        "temperature": (COLDEST, model.temperature),
        "max_tokens": (1, model.max_tokens),
        "top_k": (1, TOP_K),
    }
    if model.top_p:
        ranges["top_p"] = (COLDEST, 1.0)
    asked: dict[str, float] = {}
    for name, (low, high) in ranges.items():
        value = getattr(options, name)
        if value is not None:
            held = min(max(value, low), high)
            asked[name] = held if name in ("temperature", "top_p") else int(held)
    return asked


def messages(asked: Sequence[Message], system: bool) -> list[dict[str, str]]:
    """Return the messages in Spark's order: system first, then user and assistant in turn, the user last; none empty.

    If the model takes no system message, its text goes in front of the first question. So does an assistant's message
    before any question. A function's result becomes a message of the user. Raises RequestError.
    """
    before: list[str] = []
    turns: list[dict[str, str]] = []
    names = {part.id: part.name for message in asked for part in message.parts if isinstance(part, ToolCall)}
    for message in asked:
        role = "user" if message.role == "tool" else message.role
        content = BETWEEN.join(filter(None, [message.text, *_functions(message, names)]))
        if not content.strip():
            continue
        if role in ("system", "developer"):
            before.append(content)
        elif turns and turns[-1]["role"] == role:
            turns[-1]["content"] += BETWEEN + content
        else:
            turns.append({"role": role, "content": content})
    if not turns or turns[-1]["role"] != "user":
        raise RequestError("bad_field", "messages have to end with a user's, which is not empty.", "messages")
    if turns[0]["role"] == "assistant":
        opening = turns.pop(0)["content"]
        turns[0]["content"] = opening + BETWEEN + turns[0]["content"]
    if before and system:
        return [{"role": "system", "content": BETWEEN.join(before)}, *turns]
    turns[0]["content"] = BETWEEN.join([*before, turns[0]["content"]])
    return turns


def _functions(message: Message, names: dict[str, str]) -> Iterator[str]:
    """Calls and results as texts: Spark has no words for those of earlier turns."""
    for part in message.parts:
        if isinstance(part, ToolCall):
            yield f"{part.name}({part.arguments})"
        elif isinstance(part, Result):
            name = part.name or names.get(part.call, part.call)
            yield f"{name} {'failed' if part.error else 'gave'}: {part.text}"


def _function(tool: Tool) -> dict[str, Any]:
    return {**tool.described, "parameters": tool.schema}
