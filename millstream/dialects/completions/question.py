"""The body of a legacy completion → a question."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from millstream.dialects.abilities import cannot
from millstream.dialects.chat import question as chat
from millstream.question import Message, Question, Text

Object = dict[str, Any]

NAME = "completions"


def read(body: Object) -> Question:
    """Raises RequestError (bad_field): a dialect of messages has no words for several prompts, or for tokens."""
    asked = Question(str(body.get("model") or ""), (), dialect=NAME, body=body)
    said = body.get("prompt")
    texts = said if isinstance(said, list) else [said]
    if len(texts) != 1 or not isinstance(texts[0], str):
        raise cannot(asked, "prompt")
    return replace(chat.read(body, NAME), messages=(Message("user", (Text(texts[0]),)),))
