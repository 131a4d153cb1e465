"""Servers that others wrote to stand in for a provider, started as their authors tell, each with one answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from millstream.settings import Settings
from millstream.upstreams.local import model_file
from tests.system.nginx import free_port
from tests.system.server import DEADLINE

AIMOCK = Path(__file__).resolve().parents[1] / "node/node_modules/@copilotkit/aimock/dist/cli.js"
TEXT = (
    'Grüße, 你好! 👩‍👩‍👧 "quoted"\nA new line, <b>some</b> marks & 3 % more: \\n. '
    + "And so on, and so on. " * 5
    + "End."
)


def fakellm(folder: Path, port: int) -> list[str]:
    """https://github.com/1dg618/fakellm: words in one chunk each, [DONE], no usage."""
    rules = {"version": 1, "rules": [{"name": "all", "respond": {"content": TEXT}}]}
    (folder / "fakellm.yaml").write_text(json.dumps(rules), "utf-8")
    return [script("fakellm"), "serve", "--port", str(port), "--config", str(folder / "fakellm.yaml")]


def stubllm(folder: Path, port: int) -> list[str]:
    """stubllm 0.1.5: pieces of four characters, the finish_reason with the last. (Its
    Anthropic door loses the last piece.)"""
    fixtures = {"fixtures": [{"name": "all", "match": {}, "response": {"content": TEXT}}]}
    (folder / "stubllm.json").write_text(json.dumps(fixtures), "utf-8")
    return [script("stubllm"), "serve", "--port", str(port), "--fixture-file", str(folder / "stubllm.json")]


def aimock(folder: Path, port: int) -> list[str]:
    """https://github.com/CopilotKit/aimock: cuts characters beyond U+FFFF in two, and breaks if it is told to."""
    fixtures = {"fixtures": [{"match": {"userMessage": "hello"}, "response": {"content": TEXT}}]}
    (folder / "aimock.json").write_text(json.dumps(fixtures), "utf-8")
    return ["node", str(AIMOCK), "--port", str(port), "--fixtures", str(folder / "aimock.json"), "--chunk-size", "3"]


def llamacpp(folder: Path, port: int) -> list[str]:
    """llama.cpp's own server, with the small model: https://github.com/ggml-org/llama.cpp/tree/master/tools/server"""
    return [sys.executable, "-c", LLAMACPP, str(model_file(Settings())), str(port)]


LLAMACPP = """
import sys, threading, xllamacpp
options = xllamacpp.CommonParams()
options.model.path, options.port = sys.argv[1], int(sys.argv[2])
options.hostnames, options.n_ctx, options.n_parallel = ["127.0.0.1"], 2048, 2
options.offline, options.n_gpu_layers = True, 0
# Threads that wait for each other spin, and here others need the cores.
options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
options.cpuparams.poll = options.cpuparams_batch.poll = 0
server = xllamacpp.Server(options)
threading.Event().wait()
"""


def script(name: str) -> str:
    return str(Path(sys.executable).parent / name)


class Running:
    """`with Running(fakellm, folder) as server:` answers at server.url until the block ends."""

    def __init__(self, command: Callable[[Path, int], list[str]], folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = command(folder, self.port)
        self._log = folder / f"{command.__name__}.log"

    def __enter__(self) -> Running:
        with self._log.open("wb") as log:
            # A group of its own: `node` is a script here, which would leave the server behind when it is ended.
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + DEADLINE
        while not self._ready():
            ended = self._process.poll() is not None
            assert not ended and time.monotonic() < until, self._log.read_text("utf-8", "replace")
            time.sleep(0.05)
        return self

    def _ready(self) -> bool:
        """llama.cpp listens before it has loaded its model; the others know no such page."""
        try:
            urlopen(f"{self.url}/health", timeout=DEADLINE).close()
        except HTTPError as error:
            error.close()
            return error.code != 503
        except OSError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def chaos(self, **rates: float) -> None:
        """What aimock breaks from now on, of all requests."""
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(f"{self.url}/__aimock/chaos", json.dumps(rates).encode(), headers)) as response:
            assert response.status == 200, response.read()
