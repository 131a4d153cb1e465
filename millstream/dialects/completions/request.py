"""A question → the body of a legacy completion, whose one prompt has the whole conversation; see `prompt`."""

from __future__ import annotations

from millstream.dialects.abilities import Abilities, check
from millstream.dialects.chat.request import as_it_came
from millstream.dialects.completions.question import NAME
from millstream.dialects.foreign import Object
from millstream.question import Question

ABILITIES = Abilities(image=False, file=False, tools=False, penalties=True, json_object=False, json_schema=False)
SPEAKERS = {"user": "User: ", "assistant": "Assistant: "}
STOP = "\nUser:"
MOST_STOPS = 4  # that the API takes


def write(question: Question, max_tokens: int) -> Object:
    """Every field but model and stream."""
    if question.is_in(NAME):
        return as_it_came(question)
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
