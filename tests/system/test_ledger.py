"""The ledger under everything that can happen to a stream: exactly one row each, and no token that never was."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest

from tests.system.clients import connect, until
from tests.system.emulator import DEADLINE, HEAD, Emulator
from tests.system.readable import readable
from tests.system.server import ROOT, Server

pytestmark = pytest.mark.system

STREAMS = 500
AT_ONCE = 25
TOKENS = 12
HALF = 5  # tokens after which an answer that shall not be whole stands still, or breaks
KINDS = ("cut", "stop", "fail", *["whole"] * 6)


class Counting(Emulator):
    """What becomes of an answer says the first word of its question; `emitted` are the tokens sent, by question."""

    def __init__(self) -> None:
        super().__init__([f"w{n} " for n in range(TOKENS)])
        self.emitted: Counter[str] = Counter()
        self._local = threading.local()

    def _read(self, connection: socket.socket) -> dict | None:
        self._local.request = Emulator._read(connection)
        return self._local.request

    def _answer(self, connection: socket.socket) -> bool:
        question = self._local.request["messages"][-1]["content"]
        kind = question.split()[0]
        connection.sendall(HEAD)
        for number, token in enumerate(self.tokens):
            if number == HALF and kind == "fail":
                return False
            if number == HALF and kind != "whole":
                readable(connection, seconds=DEADLINE)  # until it is closed
                return False
            self.emitted[question] += 1
            self._send(connection, {"choices": [{"index": 0, "delta": {"content": token}, "finish_reason": None}]})
            self._pause(connection, 0.01)
        usage = {"prompt_tokens": 3, "completion_tokens": TOKENS, "total_tokens": 3 + TOKENS}
        self._send(connection, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage})
        self._chunk(connection, b"data: [DONE]\n\n")
        connection.sendall(b"0\r\n\r\n")
        return True


class Asker:
    """Asks one question until a stream has begun, and treats that as its kind wants."""

    def __init__(self, port: int, kind: str, number: int) -> None:
        self.port, self.kind, self.number = port, kind, number
        self.question = ""
        self.id = ""
        self.delivered = 0

    def run(self) -> Asker:
        attempt = 0
        while not self.id:
            attempt += 1
            self.question = f"{self.kind} {self.number} {attempt}"
            connection = connect(self.port)
            try:
                body = json.dumps({"prompt": self.question, "model": "emulated"})
                headers = {"Content-Type": "application/json", "Accept": "application/x-ndjson"}
                connection.request("POST", "/chat", body, headers)
                response = connection.getresponse()
                if response.status == 200:
                    self._follow(response)
                else:
                    response.read()
            except (OSError, HTTPException):
                pass  # its worker was killed
            finally:
                connection.close()
        return self

    def _follow(self, response) -> None:
        while line := response.readline():
            event = json.loads(line) if line.strip() else {"type": ""}
            if event["type"] == "start":
                self.id = event["id"]
            self.delivered += event["type"] == "message"
            if self.delivered == HALF - 1 and self.kind == "cut":
                return
            if self.delivered == HALF - 1 and self.kind == "stop":
                self._stop()

    def _stop(self) -> None:
        connection = connect(self.port)
        try:
            connection.request("POST", f"/streams/{self.id}/stop")
            connection.getresponse().read()
        finally:
            connection.close()


def rows_of(server: Server) -> dict[str, sqlite3.Row]:
    with sqlite3.connect(server.folder / "usage.db") as database:
        database.row_factory = sqlite3.Row
        rows = {row["id"]: row for row in database.execute("SELECT * FROM usage")}
    database.close()
    return rows


def test_each_of_500_streams_has_one_row_whatever_becomes_of_it_and_its_worker():
    with Counting() as upstream, Server({"emulated": upstream.table}, workers=2, grace=0) as server:
        until(lambda: len(server.worker_pids()) == 2)
        told, killed = server.worker_pids()
        ended = itertools.count(1)

        def ask(number: int) -> Asker:
            asker = Asker(server.port, KINDS[number % len(KINDS)], number).run()
            count = next(ended)
            if count == STREAMS // 4:
                os.kill(told, signal.SIGTERM)
            if count == STREAMS // 2:
                os.kill(killed, signal.SIGKILL)
            return asker

        with ThreadPoolExecutor(AT_ONCE) as pool:
            askers = list(pool.map(ask, range(STREAMS)))

        logs = {path.stem for path in (server.folder / "streams").glob("*.log")}
        assert len(logs) >= STREAMS
        until(lambda: len(rows_of(server)) >= len(logs))
        rows = rows_of(server)
        assert set(rows) == logs
        for asker in askers:
            row = rows[asker.id]
            if row["reason"] == "stop":
                assert (row["output"], row["source"], row["input"]) == (TOKENS, "upstream", 3)
            else:
                assert row["source"] == "estimated" or (row["source"], asker.delivered) == (None, 0)
                assert asker.delivered <= (row["output"] or 0) <= upstream.emitted[asker.question]
            assert row["duration"] > 0
        reasons = Counter(row["reason"] for row in rows.values())
        assert set(reasons) == {"stop", "cancelled", "abandoned", "upstream_broke", "interrupted"}
        assert STREAMS / 2 < reasons["stop"] <= STREAMS * 2 / 3 + 1
        assert killed not in server.worker_pids() and told not in server.worker_pids()


def test_answers_come_while_the_database_is_locked_and_are_counted_after():
    with Server(workers=1, currency="CNY") as server:
        locker = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
            "c.execute('BEGIN EXCLUSIVE'); print(flush=True); sys.stdin.read()"
        )
        held = subprocess.Popen(
            [sys.executable, "-c", locker, str(server.folder / "usage.db")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert held.stdout.readline() == b"\n"
        for _ in range(5):
            assert ask_demo(server) == 200
        until(lambda: "the ledger can't be written now" in server.text())
        assert rows_of(server) == {}
        held.communicate(timeout=DEADLINE)
        until(lambda: len(rows_of(server)) == 5)
        assert server.text().count("the ledger can't be written now") == 1


def ask_demo(server: Server) -> int:
    connection = server.connect()
    try:
        body = json.dumps({"prompt": "x", "model": "demo?tokens=3&pace=1000"})
        connection.request("POST", "/chat", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def test_what_waits_when_the_server_is_told_to_quit_is_written_first():
    with Server(workers=1) as server:
        assert ask_demo(server) == 200
        server.process.send_signal(signal.SIGINT)
        server.process.wait(DEADLINE)
        assert len(rows_of(server)) == 1


def test_what_a_whole_server_left_behind_that_was_killed_is_counted_by_the_next():
    with Server(workers=1, grace=600) as server:
        connection = server.connect()
        connection.request("POST", "/streams", b"prompt=x&model=demo?hold_last=600", {"Content-Type": FORM})
        assert connection.getresponse().status == 201
        connection.close()
        for child in server.worker_pids():
            os.kill(child, signal.SIGSTOP)  # nothing is written any more
        for pid in (server.process.pid, *server.worker_pids()):
            os.kill(pid, signal.SIGKILL)
        server.process.wait()
        with Server(workers=1, store=server.settings["store"], database=server.settings["database"]):
            until(lambda: [row["reason"] for row in rows_of(server).values()] == ["interrupted"])


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--by", "model"], "demo?tokens=3&pace=1000        1        "),
        (
            ["--csv", "--by", "key,reason"],
            "key,reason,answers,input,output,estimated,unpriced,cost,currency\nanyone,stop,1,",
        ),
        (["--by", "colour"], "'colour' is none of day, key, model, upstream, reason"),
        (["--days", "0"], "0 is not in the range"),
        ([], "budget of anyone for this month: 0 of 10 USD spent"),
    ],
)
def test_flask_usage_tells_the_operator_while_the_server_runs(counted, arguments, says):
    ran = subprocess.run(
        [sys.executable, "-m", "flask", "usage", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "MILLSTREAM_DATABASE": counted,
            "MILLSTREAM_STORE": "memory:",
            "MILLSTREAM_BUDGET": "10/month",
        },
        capture_output=True,
        timeout=DEADLINE,
        text=True,
        check=False,
    )
    assert says in ran.stdout + ran.stderr
    assert (ran.returncode == 0) == ("is no" not in says)


@pytest.fixture(scope="module")
def counted():
    """The database of a server that runs and has given one answer."""
    with Server(workers=1) as server:
        assert ask_demo(server) == 200
        until(lambda: len(rows_of(server)) == 1)
        yield server.settings["database"]


@pytest.mark.parametrize("address", ["nonsense:secret-word", "postgresql://me:secret-word@127.0.0.1:1/db"])
def test_a_wrong_database_stops_the_start_with_a_sentence(address):
    ran = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": address, "MILLSTREAM_STORE": "memory:", "WEB_CONCURRENCY": "1"},
        capture_output=True,
        timeout=DEADLINE,
        text=True,
        check=False,
    )
    assert "Millstream can't start: DATABASE_URL" in ran.stderr
    assert "secret-word" not in ran.stderr + ran.stdout
    assert ran.returncode == 1
