"""One stream's log as a file: a version byte, then JSON lines, a Meta first and then the events.

The worker that holds the file's lock (flock(2)) owns the stream. The kernel releases the lock when the worker dies.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from millstream.errors import MillstreamError, NotFound
from millstream.events import TERMINAL, End, Event, Meta
from millstream.stores.disk import OWN, erase, lock, pread
from millstream.stores.spares import Spares

VERSION = b"1"
LEAP = 1 << 14  # bytes

_logger = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_meta = msgspec.json.Decoder(Meta)
_event = msgspec.json.Decoder(Event)


class Tail:
    """The rest of a log that the disk had no room for. Its first event has the position `base`, the next base+1."""

    __slots__ = ("base", "events")

    def __init__(self, base: int, events: list[Event]) -> None:
        self.base = base
        self.events = events


class Log:
    """An open log and the right to append to it."""

    __slots__ = ("error", "fd", "last", "size", "tail")

    def __init__(self, fd: int, size: int, last: int) -> None:
        self.fd = fd
        self.size = size  # in bytes, of whole lines
        self.last = last  # number of the last event
        self.tail: Tail | None = None
        self.error: OSError | None = None  # why there is a tail

    @classmethod
    def create(cls, path: str, meta: Meta, spares: Spares) -> Log:
        """Create a log. Raises OSError; then there is no file."""
        log = cls(spares.take(path), 0, 0)
        line = VERSION + _encode(meta) + b"\n"
        if log._write(line) < len(line):
            erase(Path(path), log.fd)
            raise log.error or OSError("the disk took only a part")
        return log

    @classmethod
    def seize(cls, path: Path) -> Log | None:
        """The log of a dead owner, without its torn tail; None if it is owned, ended, gone or can't be had now."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | OWN)
        except OSError:
            return None
        log = None
        with suppress(NotFound, OSError):
            # Another worker may have erased the file between open and lock.
            if lock(fd) and os.fstat(fd).st_nlink:
                log = cls._unended(fd)
        if log is None:
            os.close(fd)
        return log

    @classmethod
    def _unended(cls, fd: int) -> Log | None:
        _, start = header(fd)
        events, size = decode(whole_lines(fd, start, os.fstat(fd).st_size))
        if events and events[-1].type in TERMINAL:
            return None
        os.ftruncate(fd, start + size)
        return cls(fd, start + size, events[-1].n if events else 0)

    def append(self, batch: list[Event]) -> int:
        """Append in one write and return the position after it. Bytes that the disk refuses go into `tail`."""
        if batch and batch[0].n <= self.last:
            batch = [event for event in batch if event.n > self.last]
        if batch:
            self.last = batch[-1].n
            if self.tail is not None:
                self.tail.events += batch
            elif (written := self._write(data := _encode_lines(batch))) < len(data):
                self.tail = Tail(self.size, batch[data.count(b"\n", 0, written) :])
        return self.size if self.tail is None else self.tail.base + len(self.tail.events)

    def _write(self, data: bytes) -> int:
        """The number of bytes that are in the file now: whole lines, since others may have read those already."""
        written = 0
        try:
            written = os.write(self.fd, data)
        except OSError as error:  # full, over quota, broken
            self.error = error
        if written < len(data):
            written = data.rfind(b"\n", 0, written) + 1
            with suppress(OSError):
                os.ftruncate(self.fd, self.size + written)
        self.size += written
        return written

    def close(self) -> None:
        """Gives the ownership back. What is in memory gets a last chance to reach the disk, for other workers."""
        if self.tail is not None:
            with suppress(OSError):
                os.ftruncate(self.fd, self.size)
                self._write(_encode_lines(self.tail.events))
        os.close(self.fd)


def header(fd: int) -> tuple[Meta, int]:
    """The Meta, and the position behind it. Raises NotFound if this is no log that can be read."""
    version = pread(fd, 1, 0)
    if version not in (b"", VERSION):
        _logger.warning("a log has the unknown version %r: a newer release wrote it, this one can't read it", version)
        raise NotFound
    line, _, _ = whole_lines(fd, 0, 4096).partition(b"\n")
    try:
        return _meta.decode(line[1:]), len(line) + 1
    except ValueError:  # half a line, from a worker that was killed while writing
        raise NotFound from None


def whole_lines(fd: int, start: int, limit: int, end: int | None = None) -> bytes:
    """Return whole lines from `start` on: about `limit` bytes, at least one line, nothing after `end`."""
    limit = max(limit, 1)
    while True:
        data = pread(fd, limit if end is None else min(limit, end - start), start)
        cut = data.rfind(b"\n") + 1
        if cut or len(data) < limit:
            return data[:cut]
        limit *= 2


def place(fd: int, start: int, end: int, after: int) -> int:
    """A line's position, at most LEAP bytes before the event `after`+1. Found by halving, since numbers only grow:
    whoever resumes in a log of 90 MB reads a dozen lines instead of all that it has."""
    while end - start > LEAP:
        middle = (start + end) // 2
        position, n = _event_behind(fd, middle, end)
        if position and n <= after:
            start = position
        else:
            end = middle
    return start


def _event_behind(fd: int, start: int, end: int) -> tuple[int, int]:
    """The position and number of the first event whose line begins behind `start`; 0, 0 where there is none."""
    size = 1024
    while True:
        data = pread(fd, min(size, end - start), start)
        _, broken, line = data.partition(b"\n")
        line, ended, _ = line.partition(b"\n")
        if broken and ended:
            with suppress(ValueError):
                return start + data.index(b"\n") + 1, _event.decode(line).n
            return 0, 0
        if len(data) < size:
            return 0, 0
        size *= 4


def decode(data: bytes) -> tuple[list[Event], int]:
    """The events, and how many bytes they took: less than all if a line is broken."""
    try:
        return _event.decode_lines(data), len(data)
    except ValueError:
        events: list[Event] = []
        size = 0
        for line in data.splitlines(keepends=True):
            try:
                events.append(_event.decode(line))
            except ValueError:
                break
            size += len(line)
        return events, size


def lost(after: int) -> Event:
    """The end of a log with a hole, or with something that can't be read: what comes after that would be a lie."""
    error = MillstreamError("lost", "A part of the answer is lost: its log is damaged. Ask again.")
    return Event("failed", end=End(model="", upstream="", failure=error.failure()), n=after + 1)
