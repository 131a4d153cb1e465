"""A call as a neutral question, whatever it came through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from millstream.dialects.chat import question as chat
from millstream.dialects.completions import question as completions
from millstream.errors import RequestError
from millstream.events import Call
from millstream.question import Question

Read = Callable[[dict[str, Any]], Question]

# How the bodies of doors are read that pass them on as they came. Others bring their question.
READERS: dict[str, Read] = {"chat": chat.read, "openai": chat.read, "completions": completions.read}


def question(call: Call) -> Question:
    """Held to the tokens that the caller may ask for. Raises RequestError (bad_field)."""
    if call.api.startswith("/"):
        raise RequestError(
            "model_not_found", f"{call.model[:100]!r} has no {call.api} here; ask another model.", "model"
        )
    if call.question is None:
        body = {**call.options, "messages": call.messages, "model": call.model}
        return READERS[call.api](body)
    most = call.options.get("max_tokens", call.question.options.max_tokens)
    options = replace(call.question.options, max_tokens=most)
    return replace(call.question, model=call.model, options=options)
