"""Changes the settings file without touching a word of it but the key's own table."""

from __future__ import annotations

import os
import re
import secrets
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from millstream.settings import SettingError, read_text
from millstream.settings.keys import KeySettings, read_keys

HEADER = r"\s*\[\s*keys\s*\.\s*(?:{name}|\"{name}\"|'{name}')\s*\]\s*(?:#.*)?"
BY_HAND = "this program can't change the way it is written: edit it by hand"


def add_key(path: Path, name: str, table: Mapping[str, Any]) -> None:
    """Puts `[keys.NAME]` at the end. Raises SettingError: there is one, or a value is wrong."""
    _add(path, "keys", name, table, {}, "take another name, or revoke that one first")


def add_upstream(path: Path, name: str, table: Mapping[str, Any], model: str) -> None:
    """Put `[upstreams.NAME]` at the end, and `model` at the top if none is set. Raises SettingError."""
    top = {"model": model} if model else {}
    _add(path, "upstreams", name, table, top, "change that table, or remove it first")


def _add(path: Path, kind: str, name: str, table: Mapping[str, Any], top: Mapping[str, Any], advice: str) -> None:
    with _locked(path):
        text, document = _read(path)
        tables = document.get(kind, {})
        if name in tables:
            raise SettingError(f"{path} has [{kind}.{name}] already; {advice}")
        if kind == "keys":
            read_keys({name: dict(table)})
        top = {key: value for key, value in top.items() if key not in document}
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        new = f"{_lines(top)}{text}{gap}[{kind}.{name}]\n{_lines(table)}"
        _write(path, _checked(path, new, {**document, **top, kind: {**tables, name: dict(table)}}))


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def remove_key(path: Path, name: str) -> None:
    """Remove `[keys.NAME]`, but keep comments above it. Raises SettingError if there is no such key."""
    with _locked(path):
        text, document = _read(path)
        keys = dict(document.get("keys", {}))
        if name not in keys:
            raise SettingError(f"{path} has no [keys.{name}]; it has {', '.join(sorted(keys)) or 'no key'}")
        del keys[name]
        wanted = {**document, "keys": keys}
        left = next(_without(text, name, wanted), None)
        if left is None:
            raise SettingError(f"{path} was not changed: {BY_HAND}")
        _write(path, left)


def list_keys(path: Path) -> tuple[KeySettings, ...]:
    """List the file's keys, even if other parts of the file are wrong. Raises SettingError."""
    return read_keys(_read(path)[1].get("keys", {}))


def _without(text: str, name: str, wanted: dict[str, Any]) -> Iterator[str]:
    """Yield the text without the table. The parser decides where the table begins and ends, because a line that looks
    like a header may be inside a value."""
    lines = text.splitlines(keepends=True)
    header = re.compile(HEADER.format(name=re.escape(name)))
    begins = [n for n, line in enumerate(lines) if header.fullmatch(line.rstrip("\r\n"))]
    for begin in begins:
        ends = [n for n in range(begin + 1, len(lines)) if lines[n].lstrip().startswith("[")]
        for end in (*ends, len(lines)):
            while end < len(lines) and end > begin + 1 and _is_idle(lines[end - 1]):
                end -= 1  # comments and empty lines above a table are the next one's
            left = "".join(lines[:begin] + lines[end:])
            with suppress(tomllib.TOMLDecodeError):
                if _same(tomllib.loads(left), wanted):
                    yield left


def _is_idle(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return {"keys": {}, **found} == {"keys": {}, **wanted}


def _checked(path: Path, text: str, wanted: dict[str, Any]) -> str:
    try:
        if _same(tomllib.loads(text), wanted):
            return text
    except tomllib.TOMLDecodeError:
        pass
    raise SettingError(f"{path} was not changed: {BY_HAND}")


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    text = read_text(path) or ""
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path} is not valid TOML: {error}") from error


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, int):
        return str(value)
    # JSON's escapes are valid in a basic TOML string, for all that names of models contain.
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time change the file. Locks the folder, since the file itself is replaced."""
    try:
        import fcntl
    except ImportError:  # Windows, where a folder can't be locked
        yield
        return
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise SettingError(f"{path} can't be changed: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(path: Path, text: str) -> None:
    """Write the file completely or not at all, and keep its owner and mode. A new file is private. If its folder has
    the setgid bit, the folder's group (the service) may read it."""
    path = path.resolve()  # a link stays one
    draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        before = path.stat() if path.exists() else None
        shared = path.parent.stat().st_mode & stat.S_ISGID
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                if before and hasattr(os, "fchown"):
                    with suppress(PermissionError):
                        os.fchown(descriptor, before.st_uid, before.st_gid)
                    os.fchmod(descriptor, before.st_mode & 0o7777)
                elif shared:
                    os.fchmod(descriptor, 0o640)
                opened.write(text.encode("utf-8"))
                opened.flush()
                os.fsync(descriptor)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SettingError(f"{path} can't be changed: {error.strerror}") from error
