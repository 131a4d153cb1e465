"""curl prints words as they come, completes what was cut, and tells a failed answer from a whole one."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.emulator import Emulator
from tests.system.in_turn import InTurn
from tests.system.nginx import Nginx
from tests.system.server import Server

pytestmark = pytest.mark.system

DEADLINE = 60.0  # s
WAYS = ["HTTP/1.1", "HTTP/1.0", "nginx", "nginx HTTP/1.0", "nginx TLS", "nginx HTTP/2"]
# curl's exit status where an answer breaks off. Through nginx HTTP/1.0 has no sign for it: nginx sends no reset.
BROKEN = [("HTTP/1.1", 18), ("HTTP/1.0", 56), ("nginx", 18), ("nginx TLS", 18), ("nginx HTTP/2", 92)]
WORDS = [f"word{n} " for n in range(30)]
SCRIPTS = [f"{n}: 水车 mill мельница 🌊 " for n in range(30)]


class Road:
    """A server behind nginx, with and without TLS, in front of an emulated upstream."""

    def __init__(self, upstream: Emulator, server: Server, plain: Nginx, tls: Nginx) -> None:
        self.upstream = upstream
        https = f"https://localhost:{tls.tls_port}"
        self.ways = {
            "HTTP/1.1": (server.url,),
            "HTTP/1.0": ("--http1.0", server.url),
            "nginx": (f"http://localhost:{plain.port}",),
            "nginx HTTP/1.0": ("--http1.0", f"http://localhost:{plain.port}"),
            "nginx TLS": ("--http1.1", "--insecure", https),
            "nginx HTTP/2": ("--http2", "--insecure", https),
        }

    def curl(self, way: str, path: str, *arguments: str) -> subprocess.Popen[bytes]:
        *options, url = self.ways[way]
        command = ["curl", "--silent", "--no-buffer", "--max-time", str(DEADLINE), *options, url + path, *arguments]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def begin(self, way: str) -> str:
        """Starts an answer that nobody follows yet; its path."""
        with self.curl(way, "/streams", "-d", "prompt=Hi") as client:
            return str(json.loads(client.communicate()[0])["url"])


@pytest.fixture(scope="module")
def parts() -> Iterator[Road]:
    with (
        Emulator() as upstream,
        Server(upstreams={"emulated": upstream.table}, open=1) as server,
        Nginx(server.port) as plain,
        Nginx(server.port, tls=True) as tls,
    ):
        yield Road(upstream, server, plain, tls)


@pytest.fixture
def road(parts: Road) -> Iterator[Road]:
    upstream = parts.upstream
    upstream.tokens, upstream.gate, upstream.cut_after = WORDS, None, None
    yield parts
    if upstream.gate:
        upstream.gate.set()


def until(met: Callable[[], bool]) -> None:
    limit = time.monotonic() + DEADLINE
    while not met():
        assert time.monotonic() < limit
        time.sleep(0.01)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream", "application/x-ndjson", "text/html"])
@pytest.mark.parametrize("way", WAYS)
def test_each_word_is_printed_before_the_next_is_written(road: Road, way: str, accept: str) -> None:
    road.upstream.tokens = words = InTurn(WORDS)
    with road.curl(way, "/chat", "-d", "prompt=Hi", "-H", f"Accept: {accept}") as client:
        assert client.stdout is not None
        printed = b""
        for word in WORDS:
            while word.encode() not in printed:
                piece = os.read(client.stdout.fileno(), 65536)
                assert piece, f"curl ended before {word}: {printed!r}"
                printed += piece
            words.seen()
        printed += client.stdout.read()
    assert client.returncode == 0
    assert accept != "*/*" or printed == "".join(WORDS).encode()


@pytest.mark.parametrize(("way", "code"), BROKEN)
def test_a_failed_answer_is_printed_so_far_and_is_an_error(road: Road, way: str, code: int) -> None:
    road.upstream.cut_after = 10
    with road.curl(way, "/chat", "-d", "prompt=Hi") as client:
        printed, _ = client.communicate()
    assert (printed.decode(), client.returncode) == ("".join(WORDS[:10]), code)


@pytest.mark.parametrize("way", WAYS)
def test_a_cut_download_goes_on_while_the_answer_grows(road: Road, way: str, tmp_path: Path) -> None:
    upstream, file = road.upstream, tmp_path / "answer"
    upstream.tokens, upstream.gate = SCRIPTS, threading.Event()
    whole, last = upstream.text.encode(), SCRIPTS[-1].encode()
    path = road.begin(way)
    with road.curl(way, path, "-o", str(file)) as first:
        until(lambda: size(file) > 100)
        first.kill()
    os.truncate(file, 98)  # a kill may come anywhere, in mid-character too
    with road.curl(way, path, "-C", "-", "-o", str(file)) as second:
        until(lambda: size(file) == len(whole) - len(last))
        upstream.gate.set()
    assert (second.returncode, file.read_bytes()) == (0, whole)


@pytest.mark.parametrize("way", WAYS)
def test_a_cut_download_goes_on_when_the_answer_is_finished(road: Road, way: str, tmp_path: Path) -> None:
    road.upstream.tokens = SCRIPTS
    whole, file = road.upstream.text.encode(), tmp_path / "answer"
    path = road.begin(way)
    for cut in (0, 1, 4, 5, 98, len(whole) - 1, len(whole)):
        file.write_bytes(whole[:cut])
        with road.curl(way, path, "-C", "-", "-o", str(file)) as client:
            pass
        assert (cut, client.returncode, file.read_bytes()) == (cut, 0, whole)


@pytest.mark.parametrize(("way", "code"), BROKEN)
def test_what_is_left_of_a_failed_answer_ends_as_an_error(road: Road, way: str, code: int, tmp_path: Path) -> None:
    road.upstream.cut_after = 10
    came, file = "".join(WORDS[:10]).encode(), tmp_path / "answer"
    path = road.begin(way)
    for cut, expected in ((5, code), (len(came), 22)):  # 22: the server's answer is the failure's own status
        file.write_bytes(came[:cut])
        with road.curl(way, path, "--fail", "-C", "-", "-o", str(file)) as client:
            pass
        assert (client.returncode, file.read_bytes()) == (expected, came)
