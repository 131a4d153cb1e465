"""Spark through the real server: many at once, and one that leaves."""

from __future__ import annotations

import threading

import pytest

from tests.system.clients import Sse, Text
from tests.system.server import DEADLINE, Server
from tests.system.talk import NEVER, ask, read_until, rst
from tests.upstreams.spark_server import HOLD, SparkServer, frame

pytestmark = pytest.mark.system

MANY = 200
TOKENS = 40
PACE = 0.05  # s


def told(prompt: str) -> list[str]:
    """What is answered to this question, and to no other."""
    return [f"{prompt}:{n} 星火🙂 " for n in range(TOKENS)]


def test_200_at_once_on_one_worker_are_all_exact():
    asked, all_there = [], threading.Event()

    def reply(question):
        tokens = told(question["payload"]["message"]["text"][-1]["content"])
        yield frame(tokens[0], 0)
        asked.append(None)
        if len(asked) == MANY:
            all_there.set()
        assert all_there.wait(DEADLINE)
        for token in tokens[1:]:
            yield PACE
            yield frame(token)
        yield frame("", 2, usage=(5, TOKENS))

    spark = SparkServer(reply)
    with Server({"spark": spark.table}) as server:
        kinds = [Sse, Text]
        clients = [kinds[n % 2](server.port, f"q{n}", "4.0Ultra").start() for n in range(MANY)]
        for n, client in enumerate(clients):
            assert client.wait().text == "".join(told(f"q{n}"))
            assert (client.failure, client.connections) == ("", 1)
    spark.close()
    assert len(spark.questions) == MANY


def test_a_client_that_leaves_closes_sparks_connection():
    spark = SparkServer([frame("word ", 0), HOLD])
    with Server({"spark": spark.table}, grace=0, heartbeat=NEVER) as server:
        sock = ask(server, "/chat?format=sse")
        read_until(sock, b"word ")
        assert not spark.left.is_set()
        rst(sock)
        assert spark.left.wait(DEADLINE)
    spark.close()
