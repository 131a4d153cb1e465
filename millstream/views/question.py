"""The question of a request to /chat or /streams: its fields, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from millstream.dialects.abilities import check_beyond
from millstream.dialects.chat import question as chat
from millstream.errors import RequestError
from millstream.question import Question

TOOLS = ("tools", "tool_choice")
FIELDS = ("messages", "prompt", "system", "model", "preset", "temperature", "top_p", "max_tokens", "stop", *TOOLS)
SAYS = ("role", "content", "tool_calls", "tool_call_id")  # what a message may have, in OpenAI's words
RESUMING = ("last_event_id", "lastEventId", "after", "offset", "wait")
CONTROLS = (
    "format",
    "padding",
    "idempotency_key",
    "once",
    "token",
    "via",
    "from",
    "keep",
    *RESUMING,
)
IGNORED = ("stream", "_")  # `_` is what jQuery and others add against caches
NUMBERS: dict[str, tuple[float, float]] = {"temperature": (0, 2), "top_p": (0, 1), "max_tokens": (1, 1_000_000)}
ROLES = ("system", "developer", "user", "assistant", "tool")
YES, NO = ("true", "1", "on"), ("false", "0", "")
MODEL_MOST = 200  # characters of a model's name


class Asked(Struct, frozen=True):
    """A checked request. `controls` say how to answer (format, padding …), the rest is what is asked, as it came and
    read."""

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
            raise RequestError("bad_field", "keep has to be true or false.", param="keep")
        return value in YES

    def fingerprint(self) -> str:
        """Equal for equal questions, whatever they were written in."""
        asked: list[Any] = [self.messages, self.model, sorted(self.options.items())]
        if self.preset is not None:
            asked.append(self.preset)
        return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()


def merge(query: Mapping[str, str], body: dict[str, Any]) -> dict[str, Any]:
    """The address's fields beside the body's. The same field in both is an error: which one is meant?"""
    for name in query:
        if name in body and name not in IGNORED:
            raise RequestError(
                "bad_field", f"{name} stands in the address and in the body; give it once.", param=name
            )
    return {**query, **body}


def question(fields: dict[str, Any]) -> Asked:
    """Checks all fields. Raises RequestError (unknown_field, bad_field) that names the field and what is allowed."""
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
    preset = None if fields.get("preset") is None else _string(fields, "preset")
    messages, model = _messages(fields), _model(fields)
    read = chat.read({"messages": messages, "model": model, **options})
    check_beyond(read)
    return Asked(messages, model, options, controls(fields), read, preset)


def controls(fields: Mapping[str, Any]) -> dict[str, str]:
    """The fields that say how to answer, as text; JSON may write them as numbers or true."""
    found = {name: fields[name] for name in CONTROLS if fields.get(name) is not None}
    for name, value in found.items():
        if not isinstance(value, str | int | float):
            raise RequestError("bad_field", f"{name} has to be text or a number.", param=name)
    return {name: "true" if value is True else str(value) for name, value in found.items()}


def _string(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RequestError("bad_field", f"{name} has to be text.", param=name)
    return value


def _model(fields: Mapping[str, Any]) -> str:
    # The name is logged, stored and shown, so bound its length.
    model = _string(fields, "model")
    if len(model) > MODEL_MOST:
        raise RequestError("bad_field", f"model has to be a name of at most {MODEL_MOST} characters.", param="model")
    return model


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
        raise RequestError(
            "bad_field", f"{name} has to be a {kind} from {least:g} to {most:.0f}.", param=name
        ) from None
    return number


def _stop(value: Any) -> list[str] | None:
    if value is None:
        return None
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not 1 <= len(stops) <= 4 or not all(isinstance(s, str) and s for s in stops):
        raise RequestError(
            "bad_field", "stop has to be a text or a list of 1 to 4 texts, none of them empty.", param="stop"
        )
    return stops


def _messages(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages = fields.get("messages")
    prompt, system = _string(fields, "prompt"), _string(fields, "system")
    if messages is not None and (not isinstance(messages, list) or not messages):
        raise RequestError("bad_field", "messages has to be a list that is not empty.", param="messages")
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
        raise RequestError("bad_field", f"{where} has to be an object with role and content.", param=where)
    if message["role"] not in ROLES:
        raise RequestError("bad_field", f"{where}.role has to be one of {', '.join(ROLES)}.", param=f"{where}.role")
    content = message["content"]
    if not isinstance(content, str | list) and not (content is None and message.get("tool_calls")):
        raise RequestError(
            "bad_field", f"{where}.content has to be text, or a list of parts.", param=f"{where}.content"
        )
    return {name: message[name] for name in SAYS if name in message}
