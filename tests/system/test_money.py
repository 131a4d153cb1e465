"""One budget over two servers with two workers each, which share a Redis."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from millstream.access.keyring import digest
from tests.system.clients import until
from tests.system.redis_server import RedisServer
from tests.system.server import Server

pytestmark = pytest.mark.system

KEYS: dict[str, dict[str, object]] = {name: {"sha256": digest(f"ms-{name}")} for name in ("anna", "ben")}
PRICE = {"demo": {"input": 0, "output": 1000}}  # for a million tokens: an answer of 20 costs 0.02
MONEY = {"budget": "0.3/month", "budget_total": "0.34/month", "currency": "EUR"}


def ask(server: Server, key: str) -> tuple[int, str | None, str]:
    """Its status, what was left before it, and the error's code if it was refused."""
    connection = server.connect()
    try:
        headers = {"Authorization": f"Bearer ms-{key}", "Content-Type": "application/json"}
        connection.request("POST", "/chat", json.dumps({"prompt": "Hi", "model": "demo?pace=0&tokens=20"}), headers)
        answer = connection.getresponse()
        said = answer.read()
        code = json.loads(said)["error"]["code"] if answer.status == 429 else ""
        return answer.status, answer.headers["x-ratelimit-remaining-budget"], code
    finally:
        connection.close()


def spent(server: Server, key: str) -> str:
    _, said = server.get("/usage?format=json", Authorization=f"Bearer ms-{key}")
    return json.loads(said)["budgets"][0]["spent"]


def test_a_budget_is_exact_over_two_servers_and_four_workers():
    with RedisServer() as redis:
        servers = [Server(workers=2, keys=KEYS, limits_store=redis.url, **MONEY) for _ in range(2)]
        for server in servers:
            server.tables["prices"] = PRICE
        with servers[0] as one, servers[1] as other, ThreadPoolExecutor(12) as crowd:
            first = list(crowd.map(lambda n: ask((one, other)[n % 2], "anna"), range(12)))
            assert [status for status, _, _ in first] == [200] * 12
            for n, server in ((12, one), (13, other), (14, one)):
                until(lambda n=n: {spent(one, "anna"), spent(other, "anna")} == {f"{n * 2 / 100:g}"})
                assert ask(server, "anna") == (200, f"{(30 - 2 * n) / 100:g}", "")
            until(lambda: {spent(one, "anna"), spent(other, "anna")} == {"0.3"})
            refused = list(crowd.map(lambda n: ask((one, other)[n % 2], "anna"), range(12)))
            assert refused == [(429, "0", "budget")] * 12
            assert ask(other, "ben")[0] == 200  # of what all may cost, 0.04 was left
            until(lambda: spent(one, "ben") == "0.02")
            assert ask(one, "ben")[0] == 200
            until(lambda: spent(other, "ben") == "0.04")
            assert ask(other, "ben")[::2] == (429, "budget")
