"""links2, a browser of the terminal without script, draws the answer while it is written."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.emulator import Emulator
from tests.system.nginx import Nginx
from tests.system.screen import Screen
from tests.system.server import Server

pytestmark = pytest.mark.system

DOWN, ENTER = "\x1b[B", "\r"
WORDS = ["A", " mill", " turns.", *(f" {n}" for n in range(40)), " Finished."]


@pytest.fixture
def upstream() -> Iterator[Emulator]:
    with Emulator(WORDS, pace=0.01) as upstream:
        upstream.gate = threading.Event()
        yield upstream


@pytest.fixture(params=["direct", "nginx"])
def url(request: pytest.FixtureRequest, upstream: Emulator) -> Iterator[str]:
    with Server(upstreams={"emulated": upstream.table}, open=1) as server:
        if request.param == "direct":
            yield server.url
        else:
            with Nginx(server.port) as nginx:
                yield f"http://localhost:{nginx.port}"


def test_links2_shows_the_answer_before_its_end_is_written(url: str, upstream: Emulator, tmp_path: Path) -> None:
    with Screen(["links2", url], tmp_path) as screen:
        screen.wait_for("Welcome to links!")
        screen.press(ENTER)
        screen.wait_for("[ Send ]")
        screen.press(f"{DOWN}{DOWN}How does it work?{DOWN}{ENTER}")
        shown = screen.wait_for("A mill turns. 0 1 2")
        assert "How does it work?" in shown
        assert "Finished." not in screen.wait_for(" 39")
        upstream.gate.set()
        screen.wait_for("39 Finished.")
        screen.wait_for("emulated-1 . 44 tokens")
    assert [asked["messages"][-1]["content"] for asked in upstream.asked] == ["How does it work?"]
