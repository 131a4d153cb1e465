"""The kernel's settings for clients that vanish: https://docs.kernel.org/networking/ip-sysctl.html"""

from __future__ import annotations

import math
import os
import socket
import struct
from pathlib import Path

RETRIES = Path("/proc/sys/net/ipv4/tcp_retries2")
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
ENOUGH = 6  # retries: 5 give up after 14 s, 15 (the kernel's default) after a quarter of an hour
SOON = 60.0  # s of idleness: whoever has not probed a client by then finds it gone much too late
IDLE, KEEPALIVE = "00", "02"  # of the column `tr`: which timer runs
TICKS = os.sysconf("SC_CLK_TCK")  # a second, of the column `tm->when`


def retries() -> int | None:
    """net.ipv4.tcp_retries2; None where there is none (macOS)."""
    try:
        return int(RETRIES.read_text())
    except (OSError, ValueError):
        return None


def keepalive(sock: socket.socket) -> float | None:
    """Return the seconds until the other side probes this idle connection; infinite if it never does. Return None if
    the other side is on another machine, or is just sending data."""
    try:
        ours, theirs = _address(sock.getsockname()), _address(sock.getpeername())
        there = [table for table in TABLES if Path(table).exists()]
        rows = [line.split() for table in there for line in Path(table).read_text().splitlines()]
    except (OSError, ValueError):
        return None
    for row in rows:
        if row[1].endswith(theirs) and row[2].endswith(ours):
            timer, _, ticks = row[5].partition(":")
            return {IDLE: math.inf, KEEPALIVE: int(ticks, 16) / TICKS}.get(timer)
    return None


def _address(name: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """Format an address as in the kernel's table. An IPv4 address is also the end of its mapped IPv6 address. Raises
    OSError if the address is not IPv4."""
    (host,) = struct.unpack("=I", socket.inet_aton(name[0]))
    return f"{host:08X}:{name[1]:04X}"
