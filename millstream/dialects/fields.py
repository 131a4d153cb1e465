"""Read a JSON object of a request field by field. A wrong field is 400 and named in the error; null means absent."""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection
from typing import Any

import msgspec

from millstream.dialects.foreign import Object
from millstream.errors import RequestError
from millstream.question import Role
from millstream.wire.json import check

MODEL_MOST = 200  # characters of a model's name: it is logged and kept
WHOLE_MOST = 2**53
SHORT = 200  # bytes of an unknown field that is decoded
DATA_URL = re.compile(r"data:([^,;]*)(?:;[^,]*)?;base64,", re.IGNORECASE)


class Beyond(RequestError):
    """Fields that a neutral question has no words for, but an upstream of the same dialect may."""


def decode(body: bytes, known: Collection[str] | None = None) -> Object:
    """Fields that are not `known` stay as they were written, where they are long: nobody here reads them. Raises
    RequestError (bad_json, bad_field)."""
    name = None
    try:
        check(body)
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        found: Object = {}
        for name, raw in fields.items():
            if known is None or name in known or len(raw) <= SHORT:
                found[name] = msgspec.json.decode(raw)
            else:
                str(raw, "utf-8")
                found[name] = raw
    except msgspec.ValidationError as error:  # it is JSON
        if name:
            raise wrong(name, f"can't be read: {error}") from None
        raise RequestError("bad_json", 'The body has to be a JSON object, such as {"model": "…"}.') from None
    except (ValueError, RecursionError) as error:
        raise RequestError("bad_json", f"The body is not valid JSON: {error}.", name) from None
    return found


class Fields:
    """Every method raises RequestError (bad_field). `path` is where the object stands in the body, `left` are the
    fields of all of it that a neutral question has no words for."""

    __slots__ = ("left", "path", "values")

    def __init__(self, values: Any, path: str = "", left: list[str] | None = None) -> None:
        self.path = path
        self.left: list[str] = [] if left is None else left
        if not isinstance(values, dict):
            raise wrong(path or "body", "has to be an object")
        self.values: Object = values

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, says: str) -> RequestError:
        return wrong(self.at(name), says)

    def beyond(self, name: str, says: str) -> Beyond:
        return Beyond("bad_field", f"{self.at(name)} {says}.", self.at(name))

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
        raise self.beyond("role", f"has to be one of {', '.join(known)}")

    def number(self, name: str, least: float = -2, most: float = 2) -> float | None:
        value = self.values.get(name)
        if value is None:
            return None
        says = f"has to be a number from {least:g} to {most:g}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, says)
        if not least <= value <= most:
            raise self.beyond(name, says)
        return value

    def whole(self, name: str, least: int = 0, most: int = WHOLE_MOST) -> int | None:
        value = self.values.get(name)
        if value is None:
            return None
        says = f"has to be a whole number from {least} on"
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:  # 5.0 is one, too
            raise self.wrong(name, says)
        if not least <= value <= most:
            raise self.beyond(name, says)
        return int(value)

    def flag(self, name: str, default: bool | None = None) -> bool | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "has to be true or false")
        return default if value is None else value

    def object(self, name: str) -> Fields | None:
        value = self.values.get(name)
        return None if value is None else Fields(value, self.at(name), self.left)

    def inner(self, name: str) -> Fields:
        """An object that has to be there."""
        found = self.object(name)
        if found is None:
            raise self.wrong(name, "is missing")
        return found

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
        return [Fields(item, f"{self.at(name)}[{n}]", self.left) for n, item in enumerate(value)]

    def texts(self, name: str) -> tuple[str, ...]:
        """A text, or a list of texts; () where there is none."""
        value = self.values.get(name)
        if value is None:
            return ()
        found = [value] if isinstance(value, str) else value
        says = "has to be a text or a list of texts, none of them empty"
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise self.wrong(name, says)
        if not all(found):
            raise self.beyond(name, says)
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
            raise self.beyond(name, "has to be an http(s) address, or data: with base64")
        return url

    def leave(self, *names: str) -> None:
        """Note these fields, where they say something, as `left`: only an upstream of the same dialect can be asked
        for them."""
        self.left += [self.at(name) for name in names if self.values.get(name) not in (None, False, "", [], {})]


def wrong(path: str, says: str) -> RequestError:
    return RequestError("bad_field", f"{path} {says}.", param=path)


def check_base64(data: str, path: str) -> None:
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:
        raise wrong(path, f"is not valid base64: {error}") from None
