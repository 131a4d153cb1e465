"""The body of a legacy completion → a question."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from millstream.dialects.chat import question as chat
from millstream.dialects.fields import Fields
from millstream.dialects.foreign import Object
from millstream.question import Message, Question, Text

NAME = "completions"

READERS: chat.Readers = {
    **chat.READERS,
    "echo": Fields.flag,
    "suffix": Fields.text,
    **dict.fromkeys(("best_of", "logprobs"), Fields.whole),
}
DOCUMENTED = frozenset((*READERS, "model", "prompt"))


def read(body: Object) -> Question:
    """A dialect of messages has no words for several prompts, or for tokens. Raises RequestError (bad_field)."""
    asked = Fields(body)
    said = body.get("prompt")
    prompts = [said] if isinstance(said, str) else said
    if not isinstance(prompts, list | None) or not all(map(_is_prompt, prompts or ())):
        raise asked.wrong("prompt", "has to be a text, a list of texts, or of tokens")
    if not prompts:
        raise asked.wrong("prompt", "is missing: there is nothing to complete")
    texts = [one for one in prompts if isinstance(one, str)]
    messages = [Message("user", (Text(text),)) for text in texts]
    beyond = [] if len(prompts) == len(texts) == 1 else ["prompt"]
    return replace(chat.question(asked, NAME, messages, beyond, READERS), bare=True)


def _is_prompt(item: Any) -> bool:
    if isinstance(item, list):
        return all(isinstance(token, int) and not isinstance(token, bool) for token in item)
    return isinstance(item, str | int) and not isinstance(item, bool)
