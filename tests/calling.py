"""A call as a door would make it."""

from __future__ import annotations

from typing import Any

from millstream.dialects.chat import question as chat
from millstream.dialects.completions import question as completions
from millstream.dialects.fields import Fields
from millstream.events import Call


def calling(
    model: str, messages: Any = (), options: Any = (), caller: str = "", api: str = "chat", **more: Any
) -> Call:
    options = dict(options)
    if api == "completions":
        return Call(completions.read({"model": model, **options}), caller, api=api, passing=True, **more)
    body = {"model": model, "messages": list(messages), **options}
    question = chat.read(body) if messages else chat.question(Fields(body), chat.NAME, (), [])
    return Call(question, caller, api=api, passing=api != "chat", **more)
