"""One frame of Spark's, read: https://www.xfyun.cn/doc/spark/Web.html"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from millstream.dialects.foreign import Object, loads, string, table, tables, whole

LAST = 2  # of `status`


class Header(Struct):
    code: int = 0
    message: str = ""
    sid: str = ""
    status: int | None = None


class Called(Struct):
    name: str = ""
    arguments: str = ""


class Text(Struct):
    content: str | None = None
    reasoning_content: str | None = None
    index: int | None = 0
    function_call: Called | None = None


class Choices(Struct):
    text: list[Text] | None = None
    status: int | None = None


class Tokens(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Counted(Struct):
    text: Tokens | None = None


class Payload(Struct):
    """`plugins` may stand here with no choices beside it."""

    choices: Choices | None = None
    usage: Counted | None = None


class Frame(Struct):
    header: Header
    payload: Payload | None = None
    exact: bool = True  # False where a text may hold half of a surrogate pair


_decode = msgspec.json.Decoder(Frame).decode


def read(message: str | bytes) -> Frame:
    """Raises ValueError where the message is no frame of Spark's."""
    try:
        return _decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _tolerate(message)


def _tolerate(message: str | bytes) -> Frame:
    """Decode what the strict decoder refuses: half surrogates, invalid UTF-8, fields of another type."""
    document = table(loads(message))
    header, payload = table(document.get("header")), table(document.get("payload"))
    if not header:
        raise ValueError("no header")
    choices, tokens = table(payload.get("choices")), table(table(payload.get("usage")).get("text"))
    texts = [_text(item) for item in tables(choices.get("text"))]
    counted = Tokens(whole(tokens.get("prompt_tokens")), whole(tokens.get("completion_tokens")))
    return Frame(
        Header(
            whole(header.get("code")) or 0,
            string(header.get("message")),
            string(header.get("sid")),
            whole(header.get("status")),
        ),
        Payload(Choices(texts, whole(choices.get("status"))), Counted(counted)),
        exact=False,
    )


def _text(item: Object) -> Text:
    called = table(item.get("function_call"))
    return Text(
        string(item.get("content")),
        string(item.get("reasoning_content")),
        whole(item.get("index")),
        Called(string(called.get("name")), string(called.get("arguments"))) if called else None,
    )
