"""The legacy completions as a door: https://platform.openai.com/docs/api-reference/completions"""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from millstream.dialects.chat.door import OPENAI
from millstream.dialects.chat.whole import whole
from millstream.dialects.chat.writer import Writer
from millstream.dialects.completions.question import DOCUMENTED, NAME, read

COMPLETIONS = replace(
    OPENAI,
    name=NAME,
    path="/v1/completions",
    under=("/v1/completions",),
    read=read,
    write=partial(Writer, chat=False),
    whole=partial(whole, chat=False),
    known=DOCUMENTED,
)
