"""How long a question and its answer may be. Pure."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from millstream.errors import RequestError
from millstream.events import Call
from millstream.limits.bounds import Bounds

# What servers call the length of an answer; llama.cpp takes its own name before OpenAI's.
LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "n_predict", "num_predict")
NO_TEXT = ("role", "type", "image_url", "input_audio", "file")  # the last are data, which max_body_v1 is for
TOKEN = 4  # characters that a prompt's token stands for, where it comes as a number


def held(may: Bounds, call: Call) -> Call:
    """The call, asking for no longer an answer than it may. Raises RequestError (prompt_too_long, bad_field)."""
    if may.max_prompt:
        options = [] if call.api == "chat" else list(call.options.values())
        size = _size(call.messages[call.hidden :]) + _size(options, 1)
        if size > may.max_prompt:
            raise RequestError(
                "prompt_too_long",
                f"The question with its conversation has {size} characters; shorten it to {may.max_prompt}.",
                param="prompt" if call.api == "completions" else "messages",
            )
    return replace(call, options=_shortened(call, may.max_tokens)) if may.max_tokens else call


def _size(value: Any, of_names: int = 0) -> int:
    """Characters of text; with `of_names` 1, an object's names count, too: in the schema of a tool they are text."""
    size, rest = 0, [value]  # not by recursion: what a client nests may be deeper than that can go
    while rest:
        item = rest.pop()
        if isinstance(item, str):
            size += len(item)
        elif isinstance(item, list):
            size += TOKEN * sum(isinstance(one, int) for one in item)
            rest += item
        elif isinstance(item, dict):
            counted = [name for name in item if name not in NO_TEXT]
            size += of_names * sum(map(len, counted))
            rest += [item[name] for name in counted]
    return size


def _shortened(call: Call, most: int) -> dict[str, Any]:
    """A longer answer than may be is cut, as by any max_tokens: it ends with finish_reason `length`."""
    answers = 1 if call.api == "chat" else _answers(call.options)
    each = most // answers
    if not each:
        raise RequestError(
            "bad_field", f"{answers} answers at once can't share the {most} tokens that are allowed.", param="n"
        )
    asked = {name: call.options[name] for name in LENGTHS if call.options.get(name) is not None}
    held = {name: value if isinstance(value, int) and 0 <= value <= each else each for name, value in asked.items()}
    return {**call.options, **(held or {"max_tokens": each})}


def _answers(options: dict[str, Any]) -> int:
    """How many answers a request to OpenAI's API asks for: `n` (or `best_of`) to each prompt."""
    prompt = options.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and not isinstance(prompt[0], int) else 1
    return prompts * max(1, *(n for n in (options.get("n"), options.get("best_of")) if isinstance(n, int)), 1)
