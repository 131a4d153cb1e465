"""The body of a request to OpenAI's API, checked: every field that it documents has its type, others pass as written.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import binascii
import re
from typing import Any

import msgspec
from msgspec import Struct

from millstream.errors import RequestError
from millstream.events import Api
from millstream.wire import json

MODEL_MOST = 200  # characters of a model's name: it is logged and kept
NOT_OPTIONS = ("model", "messages", "stream")
SHORT = 200  # bytes of an undocumented field that is decoded; longer ones are kept as they came
DATA_URL = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)

Object = dict[str, Any]
Whole = int | float  # in JSON, 5.0 is an integer
WHOLE = ("n", "max_tokens", "seed", "max_completion_tokens", "top_logprobs", "best_of", "logprobs")


class Request(Struct, frozen=True):
    """`options` are all other fields as they came. `usage`: the stream is to end with a frame for it."""

    model: str
    messages: list[Object]
    options: Object
    stream: bool
    usage: bool


# -- the types of the fields; null stands for a field left out ----------------------------------------------------


class _Image(Struct):
    url: str
    detail: str | None = None


class _Data(Struct):
    data: str | None = None
    file_data: str | None = None


class _Part(Struct):
    type: str
    text: str | None = None
    image_url: _Image | str | None = None
    input_audio: _Data | None = None
    file: _Data | None = None


class _Function(Struct):
    name: str
    arguments: str | None = None


class _ToolCall(Struct):
    id: str | None = None
    type: str | None = None
    function: _Function | None = None


class _Message(Struct):
    role: str
    content: str | list[_Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: _Function | None = None


class _Typed(Struct):
    type: str


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Common(Struct):
    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: Whole | None = None
    max_tokens: Whole | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: Whole | None = None
    user: str | None = None


class _Chat(_Common):
    messages: list[_Message] | None = None
    max_completion_tokens: Whole | None = None
    logprobs: bool | None = None
    top_logprobs: Whole | None = None
    response_format: _Typed | None = None
    tools: list[_Typed] | None = None
    tool_choice: str | Object | None = None
    parallel_tool_calls: bool | None = None
    functions: list[_Function] | None = None
    function_call: str | Object | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    audio: Object | None = None
    prediction: Object | None = None
    web_search_options: Object | None = None
    metadata: Object | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


class _Completion(_Common):
    prompt: str | list[str | int | list[int]] | None = None
    suffix: str | None = None
    echo: bool | None = None
    best_of: Whole | None = None
    logprobs: Whole | None = None


_TYPES: dict[Api, type[_Common]] = {"openai": _Chat, "completions": _Completion}


def read(body: bytes, api: Api) -> Request:
    """Raises RequestError (bad_json, bad_field) that names the field and what is allowed."""
    fields = _fields(body)
    try:
        checked = msgspec.json.decode(body, type=_TYPES[api])
    except msgspec.ValidationError as error:
        raise _wrong(str(error)) from None
    if checked.model is not None and len(checked.model) > MODEL_MOST:
        raise RequestError("bad_field", f"model has to be a name of at most {MODEL_MOST} characters.", param="model")
    values = {name: _value(name, raw, checked) for name, raw in fields.items()}
    if isinstance(checked, _Chat):
        if not checked.messages:
            raise RequestError("bad_field", "messages has to be a list that is not empty.", param="messages")
        _check_data(checked.messages)
    elif values.get("prompt") in (None, []):
        raise RequestError("bad_field", "There is nothing to complete: send a prompt.", param="prompt")
    return Request(
        model=checked.model or "",
        messages=values.get("messages") or [],
        options={name: value for name, value in values.items() if name not in NOT_OPTIONS},
        stream=bool(checked.stream),
        usage=bool(checked.stream_options and checked.stream_options.include_usage),
    )


def _fields(body: bytes) -> dict[str, msgspec.Raw]:
    """Whatever the Content-Type: what comes here is JSON, also from clients that call it a form."""
    try:
        json.check(body)
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        says = 'The body has to be a JSON object, such as {"model": "…", "messages": […]}.'
        raise RequestError("bad_json", says) from None
    except (ValueError, RecursionError) as error:
        raise RequestError("bad_json", f"The body is not valid JSON: {error}.") from None


def _value(name: str, raw: msgspec.Raw, checked: _Common) -> Any:
    """What is not documented passes undecoded: nobody here reads it, and it may be large."""
    try:
        if name not in checked.__struct_fields__ and len(raw) > SHORT:
            str(raw, "utf-8")
            return raw
        value = msgspec.json.decode(raw)
    except ValueError as error:
        raise RequestError("bad_json", f"The body is not valid JSON: {error}.", param=name) from None
    if name not in WHOLE or not isinstance(value, float):
        return value
    if not value.is_integer():
        raise RequestError("bad_field", f"{name} is of the wrong type: expected `int`, got `float`.", param=name)
    return int(value)


def _wrong(says: str) -> RequestError:
    """From msgspec's "Expected `str`, got `int` - at `$.messages[0].role`"."""
    what, _, where = says.partition(" - at ")
    missing = re.search("missing required field `(.*)`", what)
    path = where.strip("`").removeprefix("$").removeprefix(".")
    name = ".".join(filter(None, (path, missing[1]))) if missing else path
    says = "is missing" if missing else f"is of the wrong type: {what[:1].lower()}{what[1:]}"
    return RequestError("bad_field", f"{name} {says}.", param=name or None)


def _check_data(messages: list[_Message]) -> None:
    for n, message in enumerate(messages):
        parts = message.content if isinstance(message.content, list) else []
        for m, part in enumerate(parts):
            where = f"messages[{n}].content[{m}]"
            if isinstance(part.image_url, str):
                _check_url(part.image_url, f"{where}.image_url")
            elif part.image_url:
                _check_url(part.image_url.url, f"{where}.image_url.url")
            if part.input_audio:
                _check_base64(part.input_audio.data or "", f"{where}.input_audio.data")
            if part.file:
                _check_url(part.file.file_data or "", f"{where}.file.file_data")


def _check_url(url: str, name: str) -> None:
    """Data in an address; what else it may be is the upstream's to judge."""
    if match := DATA_URL.match(url):
        _check_base64(url[match.end() :], name)


def _check_base64(data: str, name: str) -> None:
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:
        raise RequestError("bad_field", f"{name} is not valid base64: {error}.", param=name) from None
