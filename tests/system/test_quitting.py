"""Ctrl+C at the terminal."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.system.emulator import Emulator
from tests.system.server import DEADLINE, Server

pytestmark = pytest.mark.system


def test_ctrl_c_ends_answers_with_a_word_and_no_traceback():
    with Emulator(pace=0.05, tokens=["x "] * 2000) as upstream, Server({"e": upstream.table}, workers=2) as server:
        connection = server.connect()
        connection.request("POST", "/chat", "prompt=Hi", {"Accept": "application/x-ndjson"})
        response = connection.getresponse()
        assert upstream.wait(lambda: upstream.sent > 3)
        # The terminal tells the whole process group, the master tells its workers once more.
        for pid in (*server.worker_pids(), server.process.pid):
            os.kill(pid, signal.SIGINT)
        last = json.loads(response.read().splitlines()[-1])
        assert (last["type"], last["error"]["code"]) == ("failed", "interrupted")
        connection.close()
        server.process.wait(DEADLINE)
        assert upstream.wait(lambda: upstream.left == 1)
    assert "Traceback" not in server.text()
    assert '"end":"interrupted"' in server.text()
