"""Unix time as text, without a clock: https://www.rfc-editor.org/rfc/rfc3339"""

from __future__ import annotations


def rfc3339(seconds: float) -> str:
    """Format a Unix time in UTC, to the second."""
    days, rest = divmod(int(seconds), 86400)
    # http://howardhinnant.github.io/date_algorithms.html#civil_from_days
    era, day = divmod(days + 719468, 146097)
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    year += era * 400 + (month >= 10)
    month += -9 if month >= 10 else 3
    return f"{year:04}-{month:02}-{day:02}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"
