"""Private parts of other packages that the house uses, and what to do when a newer pin breaks one of them.

ARCHITECTURE.md lists them. Whatever else would fail, or be silently slow, fails here first, with the way out.
"""

from __future__ import annotations

import inspect
import re

from gevent import socket
from gevent.server import StreamServer
from gunicorn.arbiter import Arbiter
from gunicorn.workers import ggevent
from prometheus_client import CollectorRegistry, Histogram


def test_gevents_sockets_have_the_plain_one_within() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"x")
        plain = getattr(here, "_sock", None)
        assert hasattr(plain, "send") and plain.recv(1, socket.MSG_PEEK) == b"x", (
            "sockets/client.py peeks at and sends on gevent's socket._sock. Without it: os.write(fileno) sends, "
            "select.poll with a time-out of 0 tells whether there is something to peek at (see sockets/pool.py)."
        )


def test_gevents_server_can_be_made_to_wait() -> None:
    lacking = {"do_read", "stop_accepting", "_start_accepting_if_started"} - set(dir(StreamServer))
    assert not lacking, (
        f"sockets/accepting.py overrides do_read of gevent's server, and pauses with {lacking}. Without them: let "
        "gevent's own do_read raise; it writes a traceback for each connection that it has no descriptor for."
    )


def test_gunicorn_calls_what_the_worker_overrides() -> None:
    handle, request = (
        inspect.signature(getattr(ggevent.GeventWorker, name)) for name in ("handle", "handle_request")
    )
    assert list(handle.parameters) == ["self", "listener", "client", "addr"], (
        "worker.py hands the client to gunicorn as its listener, since a listener may be closed while its name is "
        "asked for. With other parameters: hand over something with getsockname() where `listener` went."
    )
    assert list(request.parameters)[:3] == ["self", "listener_name", "req"], (
        "worker.py counts requests that are served."
    )
    assert re.search(r"server = StreamServer\(|StreamServer\(", inspect.getsource(ggevent)), (
        "worker.py puts its own StreamServer into gunicorn.workers.ggevent. Without that name: find where gunicorn "
        "makes its server, and replace it there; else connections without descriptors print tracebacks."
    )


def test_gunicorns_arbiter_reloads_by_a_method_that_can_be_replaced() -> None:
    assert "handle_hup" in vars(Arbiter) and "handle_" in inspect.getsource(Arbiter.run), (
        "gunicorn.conf.py wraps arbiter.handle_hup, to check the settings before workers are replaced. Without it: "
        "look for where SIGHUP ends in the arbiter (tests/system/test_rolling.py tries it)."
    )


def test_histograms_have_buckets_that_can_be_counted_up() -> None:
    histogram = Histogram("x", "X", buckets=(1.0, 2.0), registry=CollectorRegistry())
    buckets = getattr(histogram, "_buckets", ())
    assert len(buckets) == 3 and hasattr(histogram, "_sum") and hasattr(buckets[0], "inc"), (
        "metrics.py adds many observations at once to prometheus_client's Histogram._sum and _buckets. Without them: "
        "call observe() for each; it costs 2 µs a token."
    )
