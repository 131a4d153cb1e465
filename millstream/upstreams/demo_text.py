"""The demo's text: several alphabets, code, and lines that would break a careless stream."""

from __future__ import annotations

import re

_TEXT = """\
This is the demo speaking. No model is running: the same text comes each time, a token at a time, so that you can \
see how an answer arrives. A stream of words needs little more than a connection that stays open and somebody in the \
middle who does not wait for the end.

你好!这段文字不是模型写的,而是演示用的固定内容。每个字一到就立刻送出,不会等到整段话写完。如果连接断了,客户端可以从断开的地方继续接收,\
一个字也不会丢,一个字也不会重复。

Привет! Этот текст всегда один и тот же: он нужен, чтобы проверить путь от сервера до браузера. Буквы, занимающие \
два байта, тоже приходят целыми.

Some signs take four bytes, some are made of several: 😀 🚀 👩‍👩‍👧 🇨🇭 é ñ 𝒳. They arrive whole as well.

```python
def greet(name: str) -> str:
    return f"Hello, {name}! 1 < 2 && 3 > 2"
```

These lines look like a protocol, but they are text:

data: x
event: done
id: 42
: ping
data: [DONE]
<script>alert("not run")</script>

Line ends of other systems:\r\nthis line ended in CR LF,\rand this one in CR alone. \
Here is a line separator:\u2028and that was it.

That is all. Ask again, and the same will come.\n"""

_THOUGHT = "The question is easy: whatever it is, the answer is the same. 想一想… So let me begin. "

# A word with the space before it, one CJK character, or the signs between: roughly a model's tokens.
_token = re.compile(r"[^\S\n]?[^\W\u2e80-\U0010ffff]+|\s+|[^\w\s]+|.", re.DOTALL)

TEXT: tuple[str, ...] = tuple(_token.findall(_TEXT))
THOUGHT: tuple[str, ...] = tuple(_token.findall(_THOUGHT))
