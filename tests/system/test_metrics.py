"""/metrics of a real gunicorn with two workers: whichever is asked adds up, and a SIGHUP loses nothing."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.server import DEADLINE, Server

pytestmark = pytest.mark.system


def figures(server: Server) -> dict[str, float]:
    status, text = server.get("/metrics")
    assert status == 200
    lines = [line.rpartition(" ") for line in text.decode().splitlines() if not line.startswith("#")]
    return {name.removeprefix("millstream_"): float(number) for name, _, number in lines}


def ask(server: Server, model: str):
    connection = server.connect()
    body = json.dumps({"prompt": "x", "model": model})
    connection.request("POST", "/chat", body, {"Content-Type": "application/json"})
    return connection, connection.getresponse()


def until(met: Callable[[], bool]) -> None:
    limit = time.monotonic() + DEADLINE
    while not met():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_workers_are_added_up_and_a_reload_forgets_only_what_was_open() -> None:
    begun = 'streams_started_total{format="text",transport="program",upstream="demo"}'
    open_now, running = 'responses_open{format="text",transport="program"}', 'streams_running{upstream="demo"}'
    with Server(workers=2, grace=0.2) as server:
        old = set(server.worker_pids())
        held = [ask(server, "demo?hold_last=60") for _ in range(8)]  # more than one worker gets some
        for _, response in held:
            response.read(1)
        until(lambda: (figures(server).get(begun), figures(server).get(open_now)) == (8, 8))  # at the next tick
        until(lambda: figures(server).get(running) == 8)
        for connection, _ in held:
            connection.close()
        until(lambda: figures(server)[open_now] == 0)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: len(server.worker_pids()) >= 2 and not old & set(server.worker_pids()))
        connection, response = ask(server, "demo?pace=1000&tokens=3")
        response.read()
        connection.close()
        until(lambda: figures(server)[begun] == 9)
        until(lambda: figures(server).get(running, 0) == 0)  # written at the next tick
        # Only a worker that has counted has them open.
        mapped = "".join(Path(f"/proc/{worker}/maps").read_text() for worker in server.worker_pids())
        rooms = {Path(path).parent for path in re.findall(r"\S+/millstream-metrics-\w+/\S+", mapped)}
        assert len(rooms) == 1
    assert not rooms.pop().exists()


def test_a_stale_directory_from_outside_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "counter_1.db").write_bytes(b"not ours")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    with Server() as server:
        assert "loop_lag_seconds_count" in figures(server)
    assert [path.name for path in tmp_path.iterdir()] == ["counter_1.db"]


def test_flask_run_counts_for_itself(tmp_path: Path) -> None:
    command = ["-c", "import wsgi; print(wsgi.app.test_client().get('/metrics').get_data(as_text=True))"]
    environ = {"PATH": "", "MILLSTREAM_STORE": "memory:", "MILLSTREAM_CONFIG": str(tmp_path / "m.toml")}
    (tmp_path / "m.toml").write_text('[upstreams.demo]\nkind = "demo"\n')
    said = subprocess.run(
        [sys.executable, *command], env=environ, capture_output=True, text=True, check=True, timeout=DEADLINE
    )
    assert "millstream_loop_lag_seconds_count" in said.stdout
