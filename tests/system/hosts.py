"""Two machines on one: network namespaces with a wire between them. Needs Linux, iproute2 and root."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000
SERVER, CLIENT = "10.99.0.1", "10.99.0.2"

_libc = ctypes.CDLL(None, use_errno=True)


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


class Wire:
    """`with Wire() as wire:` the hosts "server" and "client" reach each other, and nobody else does."""

    def __enter__(self) -> Wire:
        self._names = {host: f"millstream-{os.getpid()}-{host}" for host in ("server", "client")}
        server, client = self._names.values()
        ip("netns", "add", server)
        ip("netns", "add", client)
        ip("link", "add", "wire", "netns", server, "type", "veth", "peer", "name", "wire", "netns", client)
        for name, address in ((server, SERVER), (client, CLIENT)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "wire")
            ip("-n", name, "link", "set", "wire", "up")
            ip("-n", name, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._names.values():
            ip("netns", "del", name)

    @contextmanager
    def on(self, host: str) -> Iterator[None]:
        """Put all sockets and processes that this thread creates in the block on that host."""
        with Path("/proc/thread-self/ns/net").open() as here:
            self._enter(f"/run/netns/{self._names[host]}")
            try:
                yield
            finally:
                self._enter(here.fileno())

    def set(self, host: str, name: str, value: int) -> None:
        """A sysctl of that host's network."""
        with self.on(host):
            Path("/proc/sys", *name.split(".")).write_text(str(value))

    def swallow(self) -> None:
        """Silently drop everything that is sent to the client. Its address changes, but the server keeps sending
        to its network card."""
        server, client = self._names.values()
        (card,) = json.loads(ip("-n", client, "-json", "link", "show", "wire"))
        ip("-n", server, "neigh", "replace", CLIENT, "lladdr", card["address"], "dev", "wire", "nud", "permanent")
        ip("-n", client, "addr", "flush", "dev", "wire")

    def _enter(self, namespace: str | int) -> None:
        fd = os.open(namespace, os.O_RDONLY) if isinstance(namespace, str) else os.dup(namespace)
        try:
            if _libc.setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(fd)
