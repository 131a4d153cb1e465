"""The error for a caller that has reached a limit, and the headers that say how much is left.

The headers are OpenAI's: https://platform.openai.com/docs/guides/rate-limits
"""

from __future__ import annotations

from math import ceil
from typing import Literal

from msgspec import Struct

from millstream.errors import RequestError
from millstream.limits.purses import Spent
from millstream.settings.prices import plain

WHEN_ONE_ENDS = 5  # s; nobody knows when that is


class Window(Struct, frozen=True):
    """A limit of answers per minute; `says` names whose limit it is."""

    name: str
    most: int
    says: str


def requests(window: Window, wait: int, headers: dict[str, str]) -> RequestError:
    says = f"{_count(window.most)} a minute can be started {window.says}. Try again in {wait} s."
    return _refusal("requests", says, wait, headers)


def tokens(most: int, seconds: float, headers: dict[str, str]) -> RequestError:
    says = f"The {most} tokens of today are used up. A new day begins in {duration(seconds)}, at midnight UTC."
    return _refusal("tokens", says, ceil(seconds), headers)


def budget(spent: Spent, currency: str, headers: dict[str, str]) -> RequestError:
    purse, period = spent.purse, spent.purse.budget.period
    what = f"Your budget of {plain(purse.budget.amount)} {currency}" if purse.owner else "The budget of this server"
    says = f"{what} for this {period} is used up. A new {period} begins in {duration(purse.left)}, at midnight UTC."
    return _refusal("budget", says, ceil(purse.left), headers)


def streams(most: int, headers: dict[str, str]) -> RequestError:
    says = f"{_count(most)} can run at the same time. Try again when one has ended, or stop one."
    return _refusal("streams", says, WHEN_ONE_ENDS, headers)


def _refusal(code: str, says: str, wait: int, headers: dict[str, str]) -> RequestError:
    return RequestError(code, says, headers={"Retry-After": str(wait), **headers})


def _count(most: int) -> str:
    return f"Only {most} answer{'s' if most > 1 else ''}"


def headers(
    of: Literal["requests", "tokens", "budget"], most: int | str, left: int | str, seconds: float
) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{of}": str(most),
        f"x-ratelimit-remaining-{of}": str(left),
        f"x-ratelimit-reset-{of}": duration(seconds),
    }


def duration(seconds: float) -> str:
    """Format a duration as Go and OpenAI do: 5h3m20s, 1m0s, 12s."""
    minutes, rest = divmod(max(0, ceil(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
