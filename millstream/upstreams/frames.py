"""OpenAI's frames for upstreams of another protocol, built from their texts.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import structs

from millstream.errors import RequestError
from millstream.events import Api, Call, Event, Usage
from millstream.upstreams import Deadlines, Upstream

# What every upstream is asked with; one that can't do it says so itself.
OPTIONS = frozenset({"temperature", "top_p", "max_tokens", "stop"})
# What says something about the request and not about the answer.
ASIDE = frozenset(
    {"stream_options", "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
)
# The values that ask for what a text is anyway. null, [] and {} do so too, whatever the field.
PLAIN: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logprobs": (False,),  # the legacy API's 0 asks for some
    "top_logprobs": (0,),
    "echo": (False,),
    "suffix": ("",),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "parallel_tool_calls": (True, False),
}
ROLES = ("system", "developer", "user", "assistant")
BESIDE = ("role", "content", "name")  # the keys of a message that may say something


def speak(upstream: Upstream, api: Api) -> Upstream:
    """The upstream itself where it speaks this API, else one around it that builds the frames."""
    return upstream if api in upstream.native else Framed(upstream)


class Framed:
    """Asks for texts, and gives frames. Raises RequestError (bad_field) for what texts can't say.

    The `options` of the upstream around which it is, if it has any, are the fields that it takes beside OPTIONS.
    """

    native: frozenset[Api] = frozenset({"chat", "openai", "completions"})

    def __init__(self, upstream: Upstream) -> None:
        self.name = upstream.name
        self.deadlines: Deadlines = upstream.deadlines
        self._upstream = upstream
        self._options = OPTIONS | getattr(upstream, "options", frozenset())

    def stream(self, call: Call) -> Iterator[list[Event]]:
        frames = Frames(call.api, call.model, int(time.time()))
        batches = self._upstream.stream(question(call, self._options))
        try:
            for batch in batches:
                yield frames.encode(batch)
        finally:
            getattr(batches, "close", lambda: None)()


class Frames:
    """One answer's events → its frames. The first one names the role, the last ones have the finish_reason and,
    with no choices, the usage."""

    def __init__(self, api: Api, model: str, created: int) -> None:
        self._chat = api == "openai"
        self._begun = not self._chat
        self._head = {
            "id": f"{'chatcmpl' if self._chat else 'cmpl'}-{secrets.token_hex(16)}",
            "object": "chat.completion.chunk" if self._chat else "text_completion",
            "created": created,
            "model": model,
        }

    def encode(self, batch: Iterable[Event]) -> list[Event]:
        frames: list[Event] = []
        for event in batch:
            if not self._begun:
                self._begun = True
                frames.append(self._choice({"role": "assistant", "content": ""}))
            if event.type == "message":
                frames.append(self._choice({"content" if self._chat else "text": event.text}))
            elif event.type == "reasoning":
                frames.append(self._choice({"reasoning_content": event.text}))
            else:
                frames += self._end(event)
        return frames

    def _end(self, event: Event) -> list[Event]:
        reason = event.end.finish_reason if event.end else None
        usage = event.end.usage if event.end else None
        last = [self._choice({}, reason or "stop")]
        if usage is not None:
            last.append(self._frame([], usage=_tokens(usage)))
        return [*last, event]

    def _choice(self, says: dict[str, Any], finish_reason: str | None = None) -> Event:
        said: dict[str, Any] = {"delta": says} if self._chat else {"text": "", **says}
        return self._frame([{"index": 0, **said, "logprobs": None, "finish_reason": finish_reason}])

    def _frame(self, choices: list[dict[str, Any]], **more: Any) -> Event:
        return Event("frame", frame=msgspec.json.encode({**self._head, "choices": choices, **more}))


def _tokens(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }


# -- the other way: a request in OpenAI's words → a question for texts ------------------------------------------


def question(call: Call, known: frozenset[str] = OPTIONS) -> Call:
    """Raises RequestError (bad_field) that names what texts can't say. `known` are the fields to be passed on."""
    asked = {name: value for name, value in call.options.items() if value not in (None, [], {})}
    if call.api == "completions":
        asked.pop("prompt", None)
    if (most := asked.pop("max_completion_tokens", None)) is not None:
        asked["max_tokens"] = most
    if isinstance(asked.get("stop"), str):
        asked["stop"] = [asked["stop"]]
    for name, value in asked.items():
        if name not in known and name not in ASIDE and not _is_plain(name, value):
            raise _cannot(call, name)
    messages = [_message(call, f"messages[{n}]", message) for n, message in enumerate(call.messages)]
    if call.api == "completions":
        messages = [{"role": "user", "content": _prompt(call, call.options.get("prompt"))}]
    options = {name: value for name, value in asked.items() if name in known}
    return structs.replace(call, api="chat", messages=messages, options=options)


def _is_plain(name: str, value: Any) -> bool:
    # In Python 0 == False and 1 == True.
    return any(value == plain and isinstance(value, bool) == isinstance(plain, bool) for plain in PLAIN.get(name, ()))


def _message(call: Call, where: str, message: Mapping[str, Any]) -> dict[str, Any]:
    if message["role"] not in ROLES:
        raise _cannot(call, f"{where}.role")
    for name, value in message.items():
        if name not in BESIDE and value not in (None, [], {}) and name not in ("refusal", "reasoning_content"):
            raise _cannot(call, f"{where}.{name}")
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_text(call, f"{where}.content[{n}]", part) for n, part in enumerate(content))
    return {"role": message["role"], "content": content or ""}


def _text(call: Call, where: str, part: Mapping[str, Any]) -> str:
    if part.get("type") != "text" or not isinstance(part.get("text"), str):
        raise _cannot(call, f"{where}.type")
    return str(part["text"])


def _prompt(call: Call, prompt: Any) -> str:
    texts = prompt if isinstance(prompt, list) else [prompt]
    if len(texts) != 1 or not isinstance(texts[0], str):
        raise _cannot(call, "prompt")
    return texts[0]


def _cannot(call: Call, field: str) -> RequestError:
    says = f"{field} asks for something that {call.model[:100]!r} can't do here; leave it out, or ask another model."
    return RequestError("bad_field", says, param=field)
