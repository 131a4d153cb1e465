"""Chat completions as a door: https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

from millstream.dialects import Dialect
from millstream.dialects.chat.failure import refuse
from millstream.dialects.chat.question import DOCUMENTED, offers_functions, read, wants_usage
from millstream.dialects.chat.whole import whole
from millstream.dialects.chat.writer import FUNCTIONS, USAGE, Writer
from millstream.dialects.foreign import Object
from millstream.question import Question


def echo(question: Question) -> Object:
    said = {FUNCTIONS: offers_functions(question), USAGE: wants_usage(question)}
    return {name: True for name, value in said.items() if value}


OPENAI = Dialect(
    name="openai",
    path="/v1/chat/completions",
    under=("/v1",),
    read=read,
    write=Writer,
    whole=whole,
    refuse=refuse,
    echo=echo,
    known=DOCUMENTED,
    repeats=False,
    via=("frames", "v1"),
    id_prefix="",
)
