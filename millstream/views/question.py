"""Check the fields of a request to /chat or /streams."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from millstream.dialects.abilities import check_beyond
from millstream.dialects.chat import question as chat
from millstream.dialects.fields import Fields, wrong
from millstream.errors import RequestError
from millstream.question import Question

TOOLS = ("tools", "tool_choice")
FIELDS = ("messages", "prompt", "system", "model", "preset", "temperature", "top_p", "max_tokens", "stop", *TOOLS)
SAYS = ("role", "content", "tool_calls", "tool_call_id")  # fields of a message, as in OpenAI's API
RESUMING = ("last_event_id", "lastEventId", "after", "offset", "wait")
CONTROLS = ("format", "padding", "idempotency_key", "once", "token", "via", "from", "keep", *RESUMING)
IGNORED = ("stream", "_")  # `_`: jQuery and others add it to bypass caches
NUMBERS: dict[str, tuple[float, float]] = {"temperature": (0, 2), "top_p": (0, 1), "max_tokens": (1, 1_000_000)}
ROLES = ("system", "developer", "user", "assistant", "tool")
YES, NO = ("true", "1", "on"), ("false", "0", "")


class Asked(Struct, frozen=True):
    """A checked request. `controls` say how to answer (format, padding …). The other fields are the question."""

    messages: list[dict[str, Any]]
    model: str
    options: dict[str, Any]
    controls: dict[str, str]
    question: Question
    preset: str | None = None  # None: the default one; "" and "none": none

    @property
    def keep(self) -> bool:
        """Return True if the answer should continue to its end without a client. Raises RequestError (bad_field)."""
        value = self.controls.get("keep", "false").lower()
        if value not in YES + NO:
            raise wrong("keep", "has to be true or false")
        return value in YES

    def fingerprint(self) -> str:
        """Return a digest that is equal for equal questions, whether sent as JSON, form or text."""
        asked: list[Any] = [self.messages, self.model, sorted(self.options.items())]
        if self.preset is not None:
            asked.append(self.preset)
        return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()


def merge(query: Mapping[str, str], body: dict[str, Any]) -> dict[str, Any]:
    """Merge the fields of query string and body. A field in both is an error, because the intent is unclear."""
    for name in query:
        if name in body and name not in IGNORED:
            raise wrong(name, "stands in the address and in the body; give it once")
    return {**query, **body}


def question(fields: dict[str, Any]) -> Asked:
    """Check all fields. Raises RequestError (unknown_field, bad_field), which names the field and what is allowed."""
    unknown = sorted(set(fields) - {*FIELDS, *CONTROLS, *IGNORED})
    if unknown:
        raise RequestError(
            "unknown_field",
            f"Unknown field{'s' if len(unknown) > 1 else ''}: {', '.join(name[:60] for name in unknown[:10])}. "
            f"Known are {', '.join(FIELDS)}.",
            param=unknown[0][:60],
        )
    options: dict[str, Any] = {name: value for name in NUMBERS if (value := _number(fields, name)) is not None}
    if (stop := _stop(fields.get("stop"))) is not None:
        options["stop"] = stop
    options |= {name: fields[name] for name in TOOLS if fields.get(name) is not None}
    asked = Fields(fields)
    preset = None if fields.get("preset") is None else asked.text("preset")
    messages, model = _messages(asked), asked.model()
    read = chat.read({"messages": messages, "model": model, **options})
    check_beyond(read)
    return Asked(messages, model, options, controls(fields), read, preset)


def controls(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields that say how to answer, as text. In JSON they may be numbers or booleans."""
    found = {name: fields[name] for name in CONTROLS if fields.get(name) is not None}
    for name, value in found.items():
        if not isinstance(value, str | int | float):
            raise wrong(name, "has to be text or a number")
    return {name: "true" if value is True else str(value) for name, value in found.items()}


def _number(fields: Mapping[str, Any], name: str) -> float | int | None:
    value = fields.get(name)
    if value is None:
        return None
    least, most = NUMBERS[name]
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        number: float | int = int(value) if name == "max_tokens" else float(value)
        if float(value) != number or not least <= number <= most:
            raise ValueError
    except (ValueError, OverflowError):
        kind = "whole number" if name == "max_tokens" else "number"
        raise wrong(name, f"has to be a {kind} from {least:g} to {most:.0f}") from None
    return number


def _stop(value: Any) -> list[str] | None:
    if value is None:
        return None
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not 1 <= len(stops) <= 4 or not all(isinstance(s, str) and s for s in stops):
        raise wrong("stop", "has to be a text or a list of 1 to 4 texts, none of them empty")
    return stops


def _messages(asked: Fields) -> list[dict[str, Any]]:
    messages = asked.get("messages")
    prompt, system = asked.text("prompt", ""), asked.text("system", "")
    if messages is not None and (not isinstance(messages, list) or not messages):
        raise wrong("messages", "has to be a list that is not empty")
    checked = [_message(number, message) for number, message in enumerate(messages or [])]
    if prompt.strip():
        checked.append({"role": "user", "content": prompt})
    elif not checked:
        raise RequestError("bad_field", "There is nothing to ask: send a prompt, or messages.", param="prompt")
    if system:
        checked.insert(0, {"role": "system", "content": system})
    return checked


def _message(number: int, message: Any) -> dict[str, Any]:
    where = f"messages[{number}]"
    if not isinstance(message, dict) or not {"role", "content"} <= set(message) <= set(SAYS):
        raise wrong(where, "has to be an object with role and content")
    if message["role"] not in ROLES:
        raise wrong(f"{where}.role", f"has to be one of {', '.join(ROLES)}")
    content = message["content"]
    if not isinstance(content, str | list) and not (content is None and message.get("tool_calls")):
        raise wrong(f"{where}.content", "has to be text, or a list of parts")
    return {name: message[name] for name in SAYS if name in message}
