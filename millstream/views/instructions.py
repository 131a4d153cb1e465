"""Add a preset to a question: its prompt, its model and its parameters."""

from __future__ import annotations

from msgspec.structs import replace

from millstream.dialects.chat import question as chat
from millstream.errors import RequestError
from millstream.events import Call
from millstream.settings import NONE, PresetSettings
from millstream.views.question import Asked
from millstream.views.services import services

OWN = ("system", "developer")  # a preset's prompt replaces messages with these roles


def instructed(asked: Asked, model: str) -> Call:
    """Return the question with its preset applied. `model` is used if neither names one. Raises RequestError
    (bad_field, preset_locked)."""
    preset = _chosen(asked)
    if preset is None:
        return Call(replace(asked.question, model=model), preset=NONE if services().settings.presets else "")
    own = {
        "temperature": preset.temperature,
        "top_p": preset.top_p,
        "max_tokens": preset.max_tokens,
        "stop": list(preset.stop) or None,
    }
    options = {name: value for name, value in own.items() if value is not None}
    default = preset.model or (services().models.default if asked.model else model)
    instructs = any(message["role"] in OWN for message in asked.messages)
    if preset.locked:
        changed = ["system"] if instructs else []
        changed += ["model"] if asked.model not in ("", default) else []
        changed += [name for name, value in asked.options.items() if options.get(name) != value]
        if changed:
            raise _locked(preset, f"leave out {', '.join(changed)}", changed[0])
    hidden = "" if instructs else preset.system
    said = [{"role": "system", "content": hidden}, *asked.messages] if hidden else asked.messages
    question = chat.read({"messages": said, "model": asked.model or default, **options, **asked.options})
    return Call(question, hidden=len(hidden), preset=preset.name)


def require_open() -> None:
    """Refuse if a preset is locked, for APIs without presets. Raises RequestError (preset_locked)."""
    if (default := _default()) and default.locked:
        raise _locked(default, "ask POST /chat, which uses it", None)


def _chosen(asked: Asked) -> PresetSettings | None:
    found = services().settings.presets
    if asked.preset is None:
        return _default()
    if asked.preset in ("", NONE):
        if (default := _default()) and default.locked:
            raise _locked(default, "it can't be left out", "preset")
        return None
    for preset in found:
        if preset.name == asked.preset:
            return preset
    there = f"there is {', '.join(preset.name for preset in found)}" if found else "there is none"
    raise RequestError("bad_field", f"There is no preset {asked.preset!r:.60}; {there}.", param="preset")


def _default() -> PresetSettings | None:
    return next((preset for preset in services().settings.presets if preset.default), None)


def _locked(preset: PresetSettings, what: str, param: str | None) -> RequestError:
    return RequestError("preset_locked", f"The preset {preset.name!r} is locked: {what}.", param=param)
