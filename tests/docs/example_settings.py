"""Makes deploy/millstream.example.toml of the settings. To write it anew:

python -m tests.docs.example_settings > deploy/millstream.example.toml
"""

from __future__ import annotations

import textwrap
from dataclasses import fields

from millstream.settings import TABLES, Secret, Settings

HEAD = """\
# Every setting of Millstream with its default, as a comment. Copy what you want to change to millstream.toml, and
# remove its "#". docs/settings.md explains them, docs/upstreams.md and docs/keys-and-limits.md the tables at the end.
"""
TABLES_OF = """
# [upstreams.NAME]
# provider = "openai"                  # or kind and base_url: docs/upstreams.md
# api_key = "env:OPENAI_API_KEY"
# models = ["gpt-4o-mini"]             # without it, the upstream is asked for its list

# [keys.NAME]                          # made by: millstream keys add NAME
# sha256 = "…"

# [presets.NAME]
# system = "Answer in one sentence."

# [prices."gpt-4o-mini"]
# input = 0.15                         # per million tokens
# output = 0.60
"""


def text() -> str:
    lines = [HEAD]
    for setting in fields(Settings):
        if setting.name in TABLES:
            continue
        unit = setting.metadata["unit"]
        says = setting.metadata["says"] + (f" ({unit})" if unit else "")
        lines += [f"# {line}" for line in textwrap.wrap(says, 110)]
        lines.append(f"# {setting.name} = {_toml(setting.default)}\n")
    return "\n".join(lines) + TABLES_OF


def _toml(value: object) -> str:
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f"{value:g}" if isinstance(value, float) else f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    print(text(), end="")
