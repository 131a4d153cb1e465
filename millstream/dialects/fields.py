"""One JSON object of a request, read field by field. What is wrong is 400 and names the field; null is absent."""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection
from typing import Any

import msgspec

from millstream.errors import RequestError
from millstream.question import Role
from millstream.wire.json import check

Object = dict[str, Any]

MODEL_MOST = 200  # characters of a model's name: it is logged and kept
WHOLE_MOST = 2**53
DATA_URL = re.compile(r"data:([^,;]*)(?:;[^,]*)?;base64,", re.IGNORECASE)


def decode(body: bytes) -> Object:
    """Raises RequestError (bad_json)."""
    try:
        check(body)
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise RequestError("bad_json", f"The body is not valid JSON: {error}.") from None
    if not isinstance(document, dict):
        raise RequestError("bad_json", 'The body has to be a JSON object, such as {"model": "…"}.')
    return document


class Fields:
    """Every method raises RequestError (bad_field). `path` is where the object stands in the body."""

    __slots__ = ("path", "values")

    def __init__(self, values: Any, path: str = "") -> None:
        self.path = path
        if not isinstance(values, dict):
            raise wrong(path or "body", "has to be an object")
        self.values: Object = values

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, says: str) -> RequestError:
        return wrong(self.at(name), says)

    def get(self, name: str) -> Any:
        return self.values.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        """The text; without a default it has to be there."""
        value = self.values.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, "is missing" if value is None else "has to be text")
        return value

    def model(self) -> str:
        name = self.text("model", "")
        if len(name) > MODEL_MOST:
            raise self.wrong("model", f"has to be a name of at most {MODEL_MOST} characters")
        return name

    def role(self, *known: Role) -> Role:
        value = self.text("role")
        for role in known:
            if value == role:
                return role
        raise self.wrong("role", f"has to be one of {', '.join(known)}")

    def number(self, name: str, least: float = -2, most: float = 2) -> float | None:
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.wrong(name, f"has to be a number from {least:g} to {most:g}")
        return value

    def whole(self, name: str, least: int = 0, most: int = WHOLE_MOST) -> int | None:
        value = self.values.get(name)
        if value is None:
            return None
        whole = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
        if not whole or int(value) != value:  # 5.0 is one, too
            raise self.wrong(name, f"has to be a whole number from {least} on")
        return int(value)

    def flag(self, name: str, default: bool | None = None) -> bool | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "has to be true or false")
        return default if value is None else value

    def object(self, name: str) -> Fields | None:
        value = self.values.get(name)
        return None if value is None else Fields(value, self.at(name))

    def plain(self, name: str) -> Object | None:
        """An object that is passed on as it is."""
        found = self.object(name)
        return found.values if found else None

    def items(self, name: str) -> list[Fields]:
        """The objects of a list; [] where there is none."""
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "has to be a list")
        return [Fields(item, f"{self.at(name)}[{n}]") for n, item in enumerate(value)]

    def texts(self, name: str) -> tuple[str, ...]:
        """A text, or a list of texts; () where there is none."""
        value = self.values.get(name)
        if value is None:
            return ()
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(item, str) and item for item in found):
            raise self.wrong(name, "has to be a text or a list of texts, none of them empty")
        return tuple(found)

    def base64(self, name: str) -> str:
        data = self.text(name)
        check_base64(data, self.at(name))
        return data

    def url(self, name: str) -> str:
        """http(s): or data: with base64."""
        url = self.text(name)
        if match := DATA_URL.match(url):
            check_base64(url[match.end() :], self.at(name))
        elif not url.startswith(("https://", "http://")):
            raise self.wrong(name, "has to be an http(s) address, or data: with base64")
        return url

    def refuse(self, names: Collection[str], says: str = "can't be had here; leave it out") -> None:
        """What would change the answer and can't be done: 400 where it is there and says something."""
        for name in names:
            if self.values.get(name) not in (None, False, "", [], {}):
                raise self.wrong(name, says)


def wrong(path: str, says: str) -> RequestError:
    return RequestError("bad_field", f"{path} {says}.", param=path)


def check_base64(data: str, path: str) -> None:
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:
        raise wrong(path, f"is not valid base64: {error}") from None
