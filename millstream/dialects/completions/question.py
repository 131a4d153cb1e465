"""A question of the legacy completions ↔ a neutral one. A conversation becomes one prompt; see `prompt`."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from millstream.dialects.abilities import Abilities, cannot, check
from millstream.dialects.chat import question as chat
from millstream.question import Message, Question, Text

Object = dict[str, Any]

NAME = "completions"
ABILITIES = Abilities(image=False, file=False, tools=False, penalties=True, json_object=False, json_schema=False)
SPEAKERS = {"user": "User: ", "assistant": "Assistant: "}
STOP = "\nUser:"
MOST_STOPS = 4  # that the API takes


def read(body: Object) -> Question:
    """Raises RequestError (bad_field): a dialect of messages has no words for several prompts, or for tokens."""
    asked = Question(str(body.get("model") or ""), (), dialect=NAME, body=body)
    said = body.get("prompt")
    texts = said if isinstance(said, list) else [said]
    if len(texts) != 1 or not isinstance(texts[0], str):
        raise cannot(asked, "prompt")
    return replace(chat.read(body, NAME), messages=(Message("user", (Text(texts[0]),)),))


def write(question: Question, max_tokens: int) -> Object:
    """Every field but model and stream."""
    check(question, ABILITIES)
    use = question.options
    asked: Object = {
        "prompt": prompt(question),
        "max_tokens": max_tokens if use.max_tokens is None else use.max_tokens,
        "temperature": use.temperature,
        "top_p": use.top_p,
        "seed": use.seed,
        "presence_penalty": use.presence_penalty,
        "frequency_penalty": use.frequency_penalty,
        "stop": list(use.stop) or None,
    }
    if len(question.messages) > 1:
        asked["stop"] = [*use.stop, STOP][:MOST_STOPS]
    return {name: value for name, value in asked.items() if value is not None}


def prompt(question: Question) -> str:
    """A single message is the prompt as it stands; several become

        what the system message says

        User: …

        Assistant: …

        User: …

        Assistant:

    and the model is told to stop where it begins to speak for the user.
    """
    said = [(SPEAKERS.get(message.role, ""), message.text) for message in question.messages]
    if len(said) == 1:
        return said[0][1]
    return "\n\n".join([*(speaker + text for speaker, text in said), "Assistant:"])
