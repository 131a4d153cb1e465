"""The table of all dialects. To add one, write a folder and add a line here."""

from __future__ import annotations

from millstream.dialects import Dialect
from millstream.dialects.chat.door import OPENAI
from millstream.dialects.completions.door import COMPLETIONS
from millstream.dialects.messages.door import MESSAGES
from millstream.dialects.ollama.door import GENERATE, OLLAMA
from millstream.dialects.responses.door import RESPONSES
from millstream.dialects.ui.door import UI

# The first ones also serve all other addresses below /v1.
DOORS: tuple[Dialect, ...] = (OPENAI, COMPLETIONS, MESSAGES, RESPONSES, OLLAMA, GENERATE, UI)
NAMED = {dialect.name: dialect for dialect in DOORS}
