from __future__ import annotations

import socket

import pytest

from millstream.doctor import kernel


@pytest.mark.parametrize(("switched_on", "seen"), [(1, True), (0, False)])
def test_whether_the_other_side_probes_is_seen(switched_on, seen):
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with accepted:
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, switched_on)
            assert kernel.keepalive(client) is seen


class Elsewhere:
    """A connection to another machine, which this one's tables don't have."""

    def getsockname(self):
        return "192.0.2.1", 50000

    def getpeername(self):
        return "192.0.2.2", 443


class OverIPv6(Elsewhere):
    def getsockname(self):
        return "2001:db8::1", 50000, 0, 0


@pytest.mark.parametrize("connection", [Elsewhere(), OverIPv6()])
def test_what_cant_be_seen_is_not_guessed_at(connection):
    assert kernel.keepalive(connection) is None
