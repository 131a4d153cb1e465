"""What the server writes down of each stream."""

from __future__ import annotations

import json
import time

from tests.system.server import DEADLINE, Server


def test_each_stream_that_ends_is_one_json_line_without_what_was_said():
    with Server() as server:
        connection = server.connect()
        body = json.dumps({"prompt": "a secret question", "model": "demo?tokens=2"})
        connection.request("POST", "/chat", body, {"Content-Type": "application/json"})
        answer = connection.getresponse().read().decode()
        connection.close()
        until = time.monotonic() + DEADLINE
        while '"reason"' not in server.text() and time.monotonic() < until:
            time.sleep(0.05)
        lines = [json.loads(line) for line in server.text().splitlines() if line.startswith("{")]
        assert [(line["reason"], line["usage"]["output"]) for line in lines] == [("stop", 2)]
        assert "secret" not in server.text()
        assert answer not in server.text()
