"""What a request has made goes with it, and not with the garbage collector: a question may have 20 MiB."""

from __future__ import annotations

import gc
from collections import Counter

import gevent
import pytest

MADE = ("Live", "Asker", "Bridge", "Follower", "Outlet", "Call", "Chain", "Client", "Response")
QUESTION = {"prompt": "Hi", "model": "demo?tokens=3"}
V1 = {"messages": [{"role": "user", "content": "Hi"}], "model": "demo?tokens=3", "stream": True}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *((f"/chat?format={format}", QUESTION) for format in ("sse", "text", "ndjson", "html", "json")),
        ("/chat", {**QUESTION, "model": "demo?fault=auth"}),
        ("/v1/chat/completions", V1),
        ("/v1/chat/completions", {**V1, "stream": False}),
    ],
)
def test_nothing_of_a_request_is_left_when_it_is_over(client, path, body):
    def ask():
        with client.post(path, json=body) as response:
            assert response.data
        gevent.sleep(0.05)

    ask()
    gc.collect()
    gc.disable()
    try:
        before = counted()
        for _ in range(3):
            ask()
        assert counted() == before
    finally:
        gc.enable()


def counted():
    found = Counter(type(thing).__name__ for thing in gc.get_objects())
    return {name: found[name] for name in MADE}
