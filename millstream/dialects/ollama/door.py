"""Ollama's API as two doors: for conversations, and for single prompts."""

from __future__ import annotations

from msgspec.structs import replace

from millstream.dialects import Dialect, of_blocks
from millstream.dialects.ollama.answer import Writer, settled, whole
from millstream.dialects.ollama.failure import refuse
from millstream.dialects.ollama.models import aliases
from millstream.dialects.ollama.question import CHAT, read, read_generate
from millstream.dialects.ollama.question import GENERATE as NAME

OLLAMA = Dialect(
    name=CHAT,
    path="/api/chat",
    under=("/api",),
    read=read,
    write=Writer,
    whole=of_blocks(whole),
    refuse=refuse,
    at_once=lambda body, now: settled(CHAT, body, now),
    aliases=aliases,
)
GENERATE = replace(
    OLLAMA,
    name=NAME,
    path="/api/generate",
    under=("/api/generate",),
    read=read_generate,
    at_once=lambda body, now: settled(NAME, body, now),
)
