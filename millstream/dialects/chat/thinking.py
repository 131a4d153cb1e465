"""Thinking aloud that comes inside the answer: `<think>…</think>` at its beginning."""

from __future__ import annotations

OPENING = "<think>"
CLOSING = "</think>"
BLANK = 1000  # characters of white space that may stand before it


class Thinking:
    """Separates thoughts from the answer, even if a marker is split between chunks. Only text that may be part of a
    marker waits."""

    def __init__(self) -> None:
        self.over = False  # the rest is answer: nobody needs to ask any more
        self._inside = False
        self._held = ""

    def feed(self, text: str) -> tuple[str, str]:
        """Gives (thought, answer), of which either may be empty."""
        text = self._held + text
        self._held = ""
        if not self._inside and not self.over:
            begun = text.lstrip()
            if not begun.startswith(OPENING):
                self.over = len(text) > BLANK or not OPENING.startswith(begun)
                return self._hold(text, not self.over)
            self._inside = True
            text = begun.removeprefix(OPENING)
        return self._think(text) if self._inside else ("", text)

    def close(self) -> tuple[str, str]:
        """Return the text that was held back: it is no marker after all."""
        held, self._held = self._held, ""
        return (held, "") if self._inside else ("", held)

    def _hold(self, text: str, hold: bool) -> tuple[str, str]:
        self._held = text if hold else ""
        return "", "" if hold else text

    def _think(self, text: str) -> tuple[str, str]:
        thought, closing, answer = text.partition(CLOSING)
        if closing:
            self._inside, self.over = False, True
            return thought, answer
        for size in range(min(len(CLOSING) - 1, len(text)), 0, -1):
            if CLOSING.startswith(text[-size:]):
                self._held = text[-size:]
                return text[:-size], ""
        return text, ""
