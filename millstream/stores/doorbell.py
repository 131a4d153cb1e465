"""Messages between the workers of one machine: each has an AF_UNIX datagram socket, unix(7).

Sending to a dead worker fails at once, with ECONNREFUSED.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import socket
import tempfile
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import gevent
from gevent.monkey import get_original

from millstream.settings import SettingError
from millstream.stores.directory import private
from millstream.stores.neighbours import message
from millstream.stores.room import files

# The call never blocks, and gevent's wrapper costs more than the call.
_Socket: type[socket.socket] = get_original("socket", "socket")

SUN_PATH = 103  # bytes that fit everywhere: Linux has room for 107, macOS for 103
LONGEST_NAME = len("/4294967295-12345678.sock")
RETRY, RETRY_MAX = 0.005, 0.5  # s
BURST = 64  # datagrams to read before other greenlets run
PACK = 100  # ids in one repeated datagram

_logger = logging.getLogger(__name__)


class Doorbell:
    """`heard` is called with each message from others, `dead` with a worker that turns out to be dead. Neither may
    raise."""

    def __init__(
        self, directory: Path, worker: str, heard: Callable[[bytes], None], dead: Callable[[str], None]
    ) -> None:
        self._directory = _short(directory)
        self._worker = worker
        self._heard = heard
        self._dead = dead
        self._peers: dict[str, socket.socket] = {}
        self._unsaid: dict[str, dict[tuple[str, str], None]] = {}  # by worker, in order: (word, id)
        self._socket = _datagram_socket()
        self._socket.bind(self._address(worker))
        Path(os.fsdecode(self._address(worker))).chmod(0o600)
        self._listener, self._repeater = gevent.spawn(self._listen), gevent.Greenlet()

    def close(self) -> None:
        gevent.killall([self._listener, self._repeater])
        for peer in (self._socket, *self._peers.values()):
            peer.close()
        self._peers.clear()
        self._unsaid.clear()
        Path(os.fsdecode(self._address(self._worker))).unlink(missing_ok=True)

    def say(self, worker: str, word: str, id: str) -> None:
        """Send a word about a stream to a worker. Never blocks. If the socket is full, it is sent later, in order."""
        if worker not in self._unsaid and self._send(worker, word, [id]):
            return
        unsaid = self._unsaid.setdefault(worker, {})
        unsaid.pop((word, id), None)  # leave, join, leave: the last one counts
        unsaid[word, id] = None
        if not self._repeater:
            self._repeater = gevent.spawn(self._repeat)

    def alive(self, worker: str) -> bool:
        try:
            with _datagram_socket() as probe:
                probe.connect(self._address(worker))
        except (ConnectionError, FileNotFoundError):
            return False
        except OSError:  # for example no descriptor left: that says nothing about the other worker
            return True
        return True

    def sweep(self) -> None:
        """Removes the sockets of dead workers."""
        for entry in files(self._directory, ".sock"):
            if not self.alive(entry.name.removesuffix(".sock")):
                Path(entry.path).unlink(missing_ok=True)

    def _address(self, worker: str) -> bytes:
        return os.fsencode(self._directory / f"{worker}.sock")

    def _send(self, worker: str, word: str, ids: list[str]) -> bool:
        """False: not now."""
        try:
            # A socket for each worker: on a shared one, a worker that stands still would block all.
            peer = self._peers.get(worker) or self._connect(worker)
            peer.send(message(word, self._worker, ids))
        except (ConnectionError, FileNotFoundError):
            self._forget(worker)
        except OSError as error:
            # macOS says ENOBUFS where Linux says EAGAIN.
            if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                _logger.warning("can't ring worker %s: %s", worker, error)
            return False
        return True

    def _connect(self, worker: str) -> socket.socket:
        peer = _datagram_socket()
        try:
            peer.connect(self._address(worker))
        except OSError:
            peer.close()
            raise
        self._peers[worker] = peer
        return peer

    def _forget(self, worker: str) -> None:
        peer = self._peers.pop(worker, None)
        if peer is not None:
            peer.close()
        self._unsaid.pop(worker, {}).clear()
        self._dead(worker)

    def _repeat(self) -> None:
        delay = RETRY
        while self._unsaid:
            gevent.sleep(delay)
            delay = min(2 * delay, RETRY_MAX)
            for worker, unsaid in list(self._unsaid.items()):
                while unsaid:
                    word = next(iter(unsaid))[0]
                    ids = [id for _, id in takewhile(lambda said, word=word: said[0] == word, unsaid)][:PACK]  # type: ignore[misc]
                    if not self._send(worker, word, ids):
                        break
                    delay = RETRY
                    for id in ids:
                        unsaid.pop((word, id), None)
                if not unsaid:
                    self._unsaid.pop(worker, None)

    def _listen(self) -> None:
        hub = gevent.get_hub()
        readable = hub.loop.io(self._socket.fileno(), 1)
        try:
            while True:
                hub.wait(readable)
                for _ in range(BURST):
                    try:
                        self._heard(self._socket.recv(65536))
                    except BlockingIOError:
                        break
        finally:
            readable.close()


def _datagram_socket() -> socket.socket:
    made = _Socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made


def _short(directory: Path) -> Path:
    """The directory itself, or where its path is too long for a socket's address, one of this user's in /tmp."""
    if len(os.fsencode(directory)) + LONGEST_NAME <= SUN_PATH:
        return directory
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"millstream-{os.getuid()}-{name}"
    private(short)
    if len(os.fsencode(short)) + LONGEST_NAME > SUN_PATH:
        raise SettingError(f"MILLSTREAM_STORE: {directory} and TMPDIR are too long for sockets; choose shorter ones")
    return short
