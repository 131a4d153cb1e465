"""docs/vps.md: its ten steps as they are printed, on a bare server, up to a visitor's answer over HTTPS."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.debian import ROOT, Debian, origin, wheels

pytestmark = pytest.mark.system

PAGE = (ROOT / "docs/vps.md").read_text("utf-8").replace("sk-…", "sk-of-a-test")
STEPS = dict(re.findall(r"^\*\*(\d+)\. .*?$(.*?)(?=^\*\*\d|\Z)", PAGE, re.M | re.S))


def commands(text: str) -> list[str]:
    """Each block's lines behind the prompt. (`set -e` doesn't see what fails before an &&.)"""
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.M | re.S)
    return [re.sub(r"^# (.*)$", r"\1 || exit 1", block, flags=re.M) for block in blocks]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Debian]:
    origin(tmp_path / "origin")
    wheels(tmp_path / "wheels", "--require-hashes -r requirements.txt", "hatchling>=1.25")
    with Debian(tmp_path) as server:
        yield server


def visit(server: Debian, key: str) -> str:
    """A visitor's question from outside."""
    command = [
        "curl",
        "-sS",
        "--fail",
        "--retry",
        "30",
        "--retry-connrefused",
        "--retry-delay",
        "1",
        "--cacert",
        str(server.folder / "ca.pem"),
        "https://chat.example.org/chat",
    ]
    command += ["--resolve", f"chat.example.org:443:{server.address}", "-H", f"Authorization: Bearer {key}"]
    done = subprocess.run([*command, "-d", "prompt=Hi"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("CI"), reason="only root builds a server")
def test_the_ten_steps_lead_to_an_answer(server: Debian) -> None:
    assert list(STEPS) == [str(number) for number in range(1, 11)]
    for number in ("1", "2"):
        server.types("\n".join(commands(STEPS[number])))
    made, *keys = commands(STEPS["3"])
    [table] = re.findall(r"^```toml\n(.*?)^```", STEPS["3"], re.M | re.S)
    server.types("\n".join([made, f"cat >/etc/millstream/millstream.toml <<'END'\n{table}END", *keys]))
    server.trust()
    admin, anna = re.findall(r"^ms-\S+$", server.types("\n".join(commands(STEPS["4"]))), re.M)
    assert '{"status":"ok"}' in server.types("\n".join(commands(STEPS["5"])))
    server.types("\n".join(commands(STEPS["6"])))
    ours, beside = commands(STEPS["7"])
    for alternative in (ours, beside):
        server.types(f"cp /etc/nginx/nginx.conf debians.conf; {alternative}")
        assert visit(server, anna)
        server.types("certbot renew; mv debians.conf /etc/nginx/nginx.conf")
    [check] = commands(STEPS["8"])
    # What it says of a busy machine isn't this test's: 2 is that it could not look.
    server.types(check.replace("|| exit 1", "--idle 0 || [ $? = 1 ]"), DOCTOR_KEY=admin)
    server.types("\n".join(commands(STEPS["9"])))
    assert anna not in server.types(
        "ls /var/backups/millstream; cat /var/backups/millstream/millstream/millstream.toml"
    )
    counted = server.types(
        "sqlite3 /var/backups/millstream/usage.db 'select count(*) from usage where caller = \"anna\"'"
    )
    assert int(counted) > 0
    server.types("\n".join(commands(STEPS["10"])))
    assert visit(server, anna)
