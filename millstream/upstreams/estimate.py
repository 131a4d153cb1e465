"""How many tokens a text is, roughly: for upstreams that don't say.

The rule: four letters make one token (https://help.openai.com/en/articles/4936856), a Chinese, Japanese
or Korean character or an emoji makes 0.7 (0.6 by https://api-docs.deepseek.com/quick_start/token_usage, 0.7 and
more with older vocabularies). Good to about a third either way; always marked `estimated`.
"""

from __future__ import annotations

import re
from math import ceil
from typing import Any

# From the CJK radicals on: Han, kana, Hangul, full-width forms, and the emoji above them.
_wide = re.compile("[\u2e80-\U0010ffff]").findall

# What a chat template puts around each message.
MESSAGE = 4


def weight(text: str) -> float:
    """The tokens of a piece of text, not rounded: weights of pieces add up to the weight of the whole."""
    if text.isascii():
        return len(text) / 4
    wide = len(_wide(text))
    return wide * 0.7 + (len(text) - wide) / 4


def estimate(text: str) -> int:
    """The tokens of a whole text; 0 only where there is none."""
    return ceil(weight(text))


def prompt_tokens(messages: list[dict[str, Any]], prompt: object = None) -> int:
    """The tokens of a conversation, or of the legacy API's prompt: a text, tokens, or a list of such. Content in
    parts counts its texts; pictures and the like count nothing."""
    return ceil(sum(MESSAGE + weight(text_of(message.get("content"))) for message in messages) + _prompt(prompt))


def text_of(content: object) -> str:
    """The text of a message, whose content may come in parts."""
    if isinstance(content, list):
        return "".join(text_of(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _prompt(prompt: object) -> float:
    if isinstance(prompt, list):
        return sum(map(_prompt, prompt))
    return weight(prompt) if isinstance(prompt, str) else float(isinstance(prompt, int))
