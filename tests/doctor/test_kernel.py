from __future__ import annotations

import math
import socket

import pytest

from millstream.doctor import kernel
from millstream.doctor.advice import advice
from millstream.doctor.examination import _notes
from millstream.doctor.marks import Plan
from millstream.doctor.probe import Probe


@pytest.mark.parametrize(
    ("on", "idle", "least", "most"), [(1, 5, 1, 5), (1, 900, 800, 900), (0, 5, math.inf, math.inf)]
)
def test_when_the_other_side_probes_is_seen(on, idle, least, most):
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with accepted:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, on)
            assert least <= kernel.keepalive(client) <= most


@pytest.mark.parametrize(
    ("retries", "probed", "symptoms"),
    [
        ("15", [], ["vanished"]),
        ("5", [None, 4.3], []),
        ("6", [None, math.inf], ["keepalive"]),
        ("5", [7199.0], ["keepalive"]),
        ("", [], []),  # no Linux
    ],
)
def test_what_keeps_vanished_clients_is_noted(tmp_path, monkeypatch, retries, probed, symptoms):
    (tmp_path / "tcp_retries2").write_text(retries)
    monkeypatch.setattr(kernel, "RETRIES", tmp_path / "tcp_retries2")
    notes = _notes([Probe(Plan(), "text", "1.1", probed=seconds) for seconds in probed], secure=False)
    assert [note.symptom for note in notes] == symptoms
    assert all(advice(note.symptom, server) for note in notes for server in ("nginx", "haproxy", ""))


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
