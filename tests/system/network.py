"""Machines that are network namespaces of this one, each on a cable of its own: ip-netns(8), veth(4)."""

from __future__ import annotations

import os
import secrets
import subprocess


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr}")


class Machine:
    """`with Machine() as machine:` `machine.within` before a command runs it there. There it has `address`; we have
    `ours` at this end of the cable."""

    def __enter__(self) -> Machine:
        self.name = f"ms{secrets.token_hex(4)}"
        self._cable = f"{self.name}c"
        # Of the block for benchmarks between networks (RFC 2544), which nobody routes: a /30 for each cable.
        net = f"198.{18 + secrets.randbelow(2)}.{secrets.randbelow(256)}"
        last = 4 * secrets.randbelow(64)
        self.ours, self.address = f"{net}.{last + 1}", f"{net}.{last + 2}"
        self.within = ("ip", "netns", "exec", self.name)
        ip("netns", "add", self.name)
        try:
            ip("link", "add", self._cable, "type", "veth", "peer", "name", "up0", "netns", self.name)
            ip("addr", "add", f"{self.ours}/30", "dev", self._cable)
            ip("link", "set", self._cable, "up")
            ip("-n", self.name, "addr", "add", f"{self.address}/30", "dev", "up0")
            ip("-n", self.name, "link", "set", "up0", "up")
            ip("-n", self.name, "link", "set", "lo", "up")
            ip("-n", self.name, "route", "add", "default", "via", self.ours)
        except OSError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        ip("netns", "del", self.name)  # the cable goes with it

    def unplug(self) -> None:
        """Nothing comes or goes any more, and nobody is told."""
        ip("link", "set", self._cable, "down")

    def plug(self) -> None:
        ip("link", "set", self._cable, "up")


def refused() -> str:
    """Why there can be no machines here; "" if there can."""
    if os.getuid():
        return "network namespaces want root"
    try:
        with Machine():
            return ""
    except (OSError, FileNotFoundError) as error:
        return str(error)
