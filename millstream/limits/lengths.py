"""How long a question and its answer may be. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec.structs import replace

from millstream.errors import RequestError
from millstream.events import Call
from millstream.limits.bounds import Bounds

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
# Fields of other dialects' bodies, whose texts are in the messages and options, too.
COUNTED = ("model", "messages", "system", "input", "instructions", "prompt", "tools", "text", "format")
# Words of the API, which are no text of the caller's.
NAMES = re.compile(
    "role|content|type|text|name|image_url|url|detail|input_audio|data|format|file|file_data|filename|file_id|id|index|"
    "tool_calls|tool_call_id|function|function_call|arguments|refusal|reasoning_content"
)
VALUES = re.compile(
    "system|developer|user|assistant|tool|function|text|image_url|input_audio|file|refusal|auto|low|high|wav|mp3"
)
# What is no text for the model. Not `data:text/…`, which is; and base64 has no blanks.
DATA = re.compile(r"(?:data:(?:image|audio|video|application/pdf)[^,\s]*;base64,)?[A-Za-z0-9+/]*={0,2}")

NONE = re.compile(r"(?!)")


def held(may: Bounds, call: Call) -> Call:
    """The call, asking for no longer an answer than it may. Raises RequestError (prompt_too_long, bad_field)."""
    if may.max_prompt:
        size = _size(call.messages[call.hidden :], NAMES)
        more = ("tools",) if call.api == "chat" else set(call.options) - set(LENGTHS)
        size += _size([call.options[name] for name in more if name in call.options])
        if call.question is not None:  # its body may pass on as it came, with fields that are not in the messages
            size += _size([value for name, value in call.question.body.items() if name not in COUNTED])
        if size > may.max_prompt:
            raise RequestError(
                "prompt_too_long",
                f"The question with its conversation has {size} characters; shorten it to {may.max_prompt}.",
                param="prompt" if call.api == "completions" else "messages",
            )
    if not may.max_tokens or call.api.startswith("/"):  # what has a path for its name writes no text
        return call
    return replace(call, options=_shortened(call, may.max_tokens))


def _size(value: Any, free: re.Pattern[str] = NONE) -> int:
    """Characters of all that may reach the model: texts, and names of objects but the `free` ones. In the schema of a
    tool all names are text."""
    size = 0
    rest: list[tuple[str, Any]] = [("", value)]
    while rest:
        name, item = rest.pop()
        if isinstance(item, str):
            size += len(item) if not _is_api(name, item) else 0
        elif isinstance(item, msgspec.Raw):
            size += len(item)
        elif isinstance(item, list):
            size += TOKEN * sum(isinstance(one, int) for one in item)
            rest += [(name, one) for one in item]
        elif isinstance(item, dict):
            size += sum(len(key) for key in item if not free.fullmatch(key))
            rest += item.items()
    return size


def _is_api(name: str, text: str) -> bool:
    """A word of the API or data, and no text."""
    if name in ("role", "type", "detail", "format"):
        return VALUES.fullmatch(text) is not None
    if name in ("url", "image_url", "file_data", "data"):
        return (name == "data" or text.startswith("data:")) and DATA.fullmatch(text) is not None
    return False


def _shortened(call: Call, most: int) -> dict[str, Any]:
    """A longer answer than may be is cut, as by any max_tokens: it ends with finish_reason `length`."""
    answers = 1 if call.api == "chat" else _answers(call.options)
    each = most // answers
    if not each:
        raise RequestError(
            "bad_field", f"{answers} answers at once can't share the {most} tokens that are allowed.", param="n"
        )
    asked = [value for name in LENGTHS if isinstance(value := call.options.get(name), int) and value >= 0]
    others = {name: value for name, value in call.options.items() if name not in LENGTHS}
    return {**others, "max_tokens": min([each, *asked])}


def _answers(options: dict[str, Any]) -> int:
    """How many answers a request to OpenAI's API asks for: `n` (or `best_of`) to each prompt."""
    prompt = options.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return prompts * max(1, *(_whole(name, options.get(name)) for name in ANSWERS))


def _whole(name: str, value: Any) -> int:
    """Servers take "5" for 5."""
    try:
        return 0 if value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        raise RequestError("bad_field", f"{name} has to be a whole number.", param=name) from None
