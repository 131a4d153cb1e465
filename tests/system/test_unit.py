"""deploy/millstream.service as it is, in its own sandbox, with the wheel installed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from tests.system.dockerfile import PYTHON
from tests.system.nginx import free_port
from tests.system.package import DEADLINE, ROOT, environment, wheel
from tests.system.sandbox import Sandbox

pytestmark = pytest.mark.system

UNIT = (ROOT / "deploy/millstream.service").read_text("utf-8")
COMMAND = "MILLSTREAM_CONFIG=/etc/millstream/millstream.toml /srv/millstream/.venv/bin/millstream"  # as the unit says
QUESTION = b"prompt=x&model=demo%3Fpace%3D1000"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for place in (folder, *list(folder.parents)[:2]):
        place.chmod(0o755)  # the unit's user has to get there
    environment(folder / ".venv", str(wheel()), python=PYTHON)
    return folder


def status(port: int, key: str = "") -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}/chat", QUESTION, headers), timeout=DEADLINE) as answer:
            return answer.status if len(answer.read()) > 100 else 0
    except HTTPError as error:
        return error.code
    except URLError:
        return 0


def until(met: Callable[[], bool], unit: Sandbox) -> None:
    limit = time.monotonic() + 60.0
    while not met():
        assert not unit.ended() and time.monotonic() < limit, unit.said()
        time.sleep(0.1)


SETTINGS = {
    "nothing": "",
    "a key": f"mkdir -m 750 /etc/millstream; {COMMAND} keys add eve > /dev/null",
    "limits": "install -d /etc/millstream; echo requests_per_minute = 2 > /etc/millstream/millstream.toml",
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("CI"), reason="only root builds a sandbox")
def test_the_unit_starts_as_it_is_and_takes_a_key_from_root(settings: str, project: Path) -> None:
    port = free_port()
    before = f"{settings}\ninstall -d /etc/millstream; echo PORT={port} > /etc/millstream/environment"
    with Sandbox(UNIT, project, before) as unit:
        until(lambda: status(port) in (200, 401), unit)
        key = unit.as_root(f"{COMMAND} keys add anna 2>/dev/null")
        unit.reload()
        until(lambda: status(port, key) == 200 and status(port) == 401, unit)
        assert unit.as_root("stat -c '%a %U %G' /etc/millstream/millstream.toml").split()[2] == "millstream"
        written = unit.as_root("ls -A /var/lib/millstream").split()
        assert {"session-secret", "streams", "usage.db"} <= set(written)
