"""Many clients that are killed at once leave no connection to any upstream, without the cyclic garbage collector.

CROWDS=all makes the whole table of it: 30 to 400 clients, each address and each kind of upstream by itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product

import psutil
import pytest

from tests.system.clients import until
from tests.system.crowd import Crowd
from tests.system.server import Server
from tests.system.test_metrics import figures
from tests.upstreams.fake import PEM
from tests.upstreams.spark_server import HOLD, SparkServer, frame

pytestmark = pytest.mark.system

MODELS = ("http", "tls", "4.0Ultra", "demo?pace=10&tokens=5000")
ADDRESSES = ("/chat", "/v1/chat/completions")
# Before the head of the answer, after the first token, and while tokens come.
PHASES = ("tokens=5000 mute", "tokens=5000 hold", "tokens=5000 every=0.1")
MIXED = list(product(ADDRESSES, MODELS))
CROWDS = [(32, MIXED)]
if os.environ.get("CROWDS") == "all":
    CROWDS += [(size, [each]) for each in MIXED for size in (30, 100, 200, 400)]
CLIENTS = """
import asyncio, json, sys
async def ask(n, path, model, phase):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    asked = {"model": model, "stream": True, "messages": [{"role": "user", "content": phase}]}
    body = json.dumps(asked).encode()
    head = f"POST {path} HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Type: application/json\\r\\nIdempotency-Key: {n}"
    writer.write(f"{head} {sys.argv[2]}\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n".encode() + body)
    while await reader.read(65536):
        pass
async def all():
    await asyncio.gather(*(ask(n, *each) for n, each in enumerate(json.loads(sys.argv[3]))))
    print("all have ended")
asyncio.run(all())
"""


def spark() -> SparkServer:
    def reply(question):
        phase = question["payload"]["message"]["text"][-1]["content"]
        if "mute" not in phase:
            yield frame("word ", 0)
        while "every" in phase:
            yield 0.1
            yield frame("word ")
        yield HOLD

    return SparkServer(reply)


@pytest.fixture(scope="module", params=[0, 1], ids=["grace 0", "grace 1"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, set[int]]]:
    """A server whose workers never collect garbage, and its upstreams' ports."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text("import gc\ngc.disable()\n")
    with ExitStack() as stack:
        http, tls = stack.enter_context(Crowd()), stack.enter_context(Crowd(PEM))
        stack.callback((websocket := spark()).close)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("PYTHONPATH", str(site))
        tables = {
            "http": {**http.table, "models": ["http"]},
            "tls": {**tls.table, "models": ["tls"]},
            "spark": websocket.table,
            "demo": {"kind": "demo", "models": ["demo"]},
        }
        server = Server(tables, grace=request.param, heartbeat=3600, status_wait=0.2, open=1)
        yield stack.enter_context(server), {http.port, tls.port, int(websocket.host.rpartition(":")[2])}


def open_upstreams(server: Server, ports: set[int]) -> int:
    found = [psutil.Process(pid).net_connections("tcp") for pid in server.worker_pids()]
    return sum(bool(one.raddr) and one.raddr.port in ports for some in found for one in some)


@pytest.mark.parametrize(("size", "asks"), CROWDS, ids=lambda given: "" if given is MIXED else str(given))
def test_a_crowd_that_is_killed_leaves_no_upstream_open(house, size, asks, request) -> None:
    server, ports = house
    each = [(*asks[n % len(asks)], PHASES[n % len(PHASES)]) for n in range(size)]
    to_sockets = sum(not model.startswith("demo") for _, model, _ in each)
    before = open_upstreams(server, ports)
    command = [sys.executable, "-c", CLIENTS, str(server.port), request.node.name, json.dumps(each)]
    with subprocess.Popen(command) as clients:
        until(lambda: running(server) == size and open_upstreams(server, ports) >= to_sockets)
        clients.kill()
    killed = time.monotonic()
    until(lambda: not open_upstreams(server, ports))
    closed = time.monotonic() - killed
    until(lambda: not running(server))
    print(f"{size} clients, {asks[0] if len(asks) == 1 else 'mixed'}: {before=} closed after {closed:.2f} s")
    assert "Traceback" not in server.text()


def running(server: Server) -> float:
    return sum(value for name, value in figures(server).items() if name.startswith("streams_running"))
