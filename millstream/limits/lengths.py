"""Limit the length of a question and its answer. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec.structs import replace

from millstream.dialects.abilities import named
from millstream.dialects.fields import wrong
from millstream.errors import RequestError
from millstream.events import Call
from millstream.limits.bounds import Bounds
from millstream.question import Question

# What servers call the length of an answer. Ours goes out under the first name alone: each server heeds its own word,
# and llama.cpp takes its own before OpenAI's.
LENGTHS = (
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_new_tokens",
    "max_length",
    "n_predict",
    "num_predict",
)
ANSWERS = ("n", "best_of", "n_cmpl", "num_return_sequences")  # and their number, each for itself
TOKEN = 4  # characters that a prompt's token stands for, where it comes as a number
NO_TEXT = frozenset(("model", "stream", "stream_options", *LENGTHS))
CONVERSATION = ("messages", "input", "system", "images")
# The dialects' own words in a conversation; they are not the caller's text.
NAMES = re.compile(
    "role|content|type|text|name|image_url|url|detail|input_audio|data|format|file|file_data|filename|file_id|id|index|"
    "tool_calls|tool_call_id|function|function_call|arguments|refusal|reasoning_content|"
    "source|media_type|cache_control|input|tool_use_id|is_error|thinking|signature|"  # Messages
    "call_id|output|summary|encrypted_content|status|images|tool_name|"  # Responses, Ollama
    "parts|mediaType|state|toolCallId|toolName|errorText|providerMetadata|millstream"  # useChat
)
VALUES = re.compile(
    "system|developer|user|assistant|tool|function|text|image_url|input_audio|file|refusal|auto|low|high|wav|mp3|"
    "image|document|base64|tool_use|tool_result|thinking|redacted_thinking|ephemeral|message|reasoning|summary_text|"
    "(?:input|output)_(?:text|image|file)|(?:function|custom_tool)_call(?:_output)?|step-start"
)
# Binary data is no text for the model, except `data:text/…`. Base64 has no spaces.
DATA = re.compile(r"(?:data:(?:image|audio|video|application/pdf)[^,\s]*;base64,)?[A-Za-z0-9+/]*={0,2}")
BARE = ("data", "images", "signature", "encrypted_content")  # base64 without an address

NONE = re.compile(r"(?!)")


def held(may: Bounds, call: Call) -> Call:
    """The call, asking for no longer an answer than it may. Raises RequestError (prompt_too_long, bad_field)."""
    question = call.question
    if may.max_prompt:
        size = size_of(question) - call.hidden
        if size > may.max_prompt:
            raise RequestError(
                "prompt_too_long",
                f"The question with its conversation has {size} characters; shorten it to {may.max_prompt}.",
                param=named(question, "messages"),
            )
    if not may.max_tokens or call.path:  # what has a path for its name writes no text
        return call
    return replace(call, question=_shortened(question, may.max_tokens))


def size_of(question: Question) -> int:
    """Characters of the client's body: all of it may pass on, whatever is read of it."""
    fields = question.body.items()
    return sum(
        _size(name, value, NAMES if name in CONVERSATION else NONE) for name, value in fields if name not in NO_TEXT
    )


def _size(name: str, value: Any, free: re.Pattern[str]) -> int:
    """Characters of all that may reach the model: texts, and names of objects but the `free` ones. In the schema of a
    tool, and in what a tool gets or gives, all names, words and numbers are text."""
    size = 0
    rest: list[tuple[str, Any, re.Pattern[str]]] = [(name, value, free)]
    while rest:
        name, item, free = rest.pop()
        if isinstance(item, str):
            size += len(item) if free is NONE or not _is_api(name, item) else 0
        elif isinstance(item, msgspec.Raw):
            size += len(item)
        elif isinstance(item, list):
            numbers = [one for one in item if isinstance(one, (int, float))]
            size += sum(TOKEN if isinstance(one, int) else len(repr(one)) for one in numbers)
            rest += [(name, one, free) for one in item]
        elif isinstance(item, dict):
            size += sum(len(key) for key in item if not free.fullmatch(key))
            rest += [(_said(item, key), one, NONE if _is_tools(item, key) else free) for key, one in item.items()]
    return size


def _is_tools(item: dict[str, Any], key: str) -> bool:
    """Return True for an object that holds a tool's arguments or its result."""
    return key in ("input", "arguments", "output") and ("toolCallId" in item or isinstance(item[key], dict))


def _said(item: dict[str, Any], key: str) -> str:
    """The name of a value; the `data` of a document that is text is no data."""
    return "text" if key == "data" and item.get("type") == "text" else key


def _is_api(name: str, text: str) -> bool:
    """A word of the API or data, and no text."""
    if name in ("role", "type", "detail", "format"):
        return VALUES.fullmatch(text) is not None
    if name in ("url", "image_url", "file_data", *BARE):
        return (name in BARE or text.startswith("data:")) and DATA.fullmatch(text) is not None
    return False


def _shortened(question: Question, most: int) -> Question:
    """A longer answer than may be is cut, as by any max_tokens: it ends with finish_reason `length`."""
    body, own = question.body, question.options.max_tokens
    answers = _answers(body)
    each = most // answers
    if not each:
        raise RequestError(
            "bad_field", f"{answers} answers at once can't share the {most} tokens that are allowed.", param="n"
        )
    asked = [value for name in LENGTHS if isinstance(value := body.get(name), int) and value >= 0]
    options = replace(question.options, max_tokens=min([each, *asked, each if own is None else own]))
    others = {name: value for name, value in body.items() if name not in LENGTHS}
    beyond = tuple(name for name in question.beyond if name not in LENGTHS)
    return replace(question, options=options, body=others, beyond=beyond)


def _answers(body: dict[str, Any]) -> int:
    """Return the number of answers that a request to OpenAI's API asks for: `n` (or `best_of`) for each prompt."""
    prompt = body.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return prompts * max(1, *(_whole(name, body.get(name)) for name in ANSWERS))


def _whole(name: str, value: Any) -> int:
    """Servers take "5" for 5."""
    try:
        return 0 if value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        raise wrong(name, "has to be a whole number") from None
