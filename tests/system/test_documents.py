"""The documents' commands, run as they are printed, against a real server with the real model."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.system.server import ROOT, Server

pytestmark = pytest.mark.system

DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
BLOCKS = [
    block for path in DOCUMENTS for block in re.findall(r"^```sh\n(.*?)^```", path.read_text("utf-8"), re.M | re.S)
]


@pytest.fixture(scope="module")
def server():
    with Server(upstreams={}, workers=2, max_tokens=50) as server:  # a small model rambles
        yield server


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_commands_works_as_printed(server, block, tmp_path):
    script = block.replace("localhost:8000", f"localhost:{server.port}")
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "http_proxy": ""},
        capture_output=True,
        timeout=300,  # s; several answers of the model, on a busy machine
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert '"error"' not in ran.stdout
    assert len(ran.stdout) > 20
