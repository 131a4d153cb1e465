"""What newcomers type, and the sentence that ends the slip."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.package import DEADLINE, bare_environ
from tests.system.server import ROOT

pytestmark = pytest.mark.system

PYTHON = sys.executable
GUNICORN = f"{PYTHON} -m gunicorn -c gunicorn.conf.py"
SERVE = f"{PYTHON} -m millstream serve --no-install"

# slip: (command, environment, what the sentence says); {tmp} is an empty folder
SLIPS = {
    "python app.py": (f"{PYTHON} app.py", {}, "app.py is no program. Start the server with scripts/serve"),
    "flask --app app run": (f"{PYTHON} -m flask --app app run", {}, "With flask it is `flask run`, without --app"),
    "gunicorn app:app": (
        f"{GUNICORN} app:app",
        {"WEB_CONCURRENCY": "1"},  # of two workers that can't start, gunicorn's master sometimes adds a traceback
        "The application is in wsgi.py, which patches first: gunicorn wsgi:app",
    ),
    "another worker": (f"{GUNICORN} -k sync wsgi:app", {}, "worker class sync: it has one of its own. Leave out -k"),
    "somebody else's address": (SERVE, {"HOST": "192.0.2.1"}, "HOST has to be an address of this machine: 127.0.0.1"),
    "a name that is none": (SERVE, {"HOST": "no.such.host.invalid"}, "HOST has to be an address or a name of this"),
    "a port that is none": (SERVE, {"PORT": "http"}, "PORT is 'http'; it has to be a number up to 65535"),
    "no number of workers": (SERVE, {"WEB_CONCURRENCY": "many"}, "WEB_CONCURRENCY is 'many'; it has to be a number"),
    "a file that is no model": (SERVE, {"MILLSTREAM_LOCAL_MODEL": "README.md"}, "which is no GGUF file; download a"),
    "a disk that can't be written": (SERVE, {"MILLSTREAM_STATE": "/proc/x"}, "Set MILLSTREAM_STATE to a folder that"),
    "a settings file that isn't there": (SERVE, {"MILLSTREAM_CONFIG": "{tmp}/x.toml"}, "and there is no such file"),
    "an unknown command": (f"{PYTHON} -m millstream sevre", {}, "No such command 'sevre'"),
}


@pytest.mark.parametrize(("command", "environ", "says"), SLIPS.values(), ids=SLIPS)
def test_a_slip_ends_with_its_sentence(command: str, environ: dict[str, str], says: str, tmp_path: Path) -> None:
    own = {name: value.format(tmp=tmp_path) for name, value in environ.items()}
    given = bare_environ(**{"MILLSTREAM_STATE": str(tmp_path / "state"), "PORT": "0", **own})
    done = subprocess.run(command.split(), cwd=ROOT, env=given, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode not in (0, None)
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What scripts/serve works with, and no tool but the machine's own."""
    shutil.copytree(ROOT / "scripts", tmp_path / "clone/scripts")
    for name in ("requirements.txt", "requirements-local.txt"):
        shutil.copy(ROOT / name, tmp_path / "clone")
    (tmp_path / "bin").mkdir()
    return tmp_path / "clone"


def fake(clone: Path, name: str, script: str) -> None:
    tool = clone.parent / "bin" / name
    tool.write_text(f"#!/bin/bash\n{script}\n")
    tool.chmod(0o755)


def serve(clone: Path, **environ: str) -> subprocess.Popen[str]:
    path = f"{clone.parent}/bin:/usr/bin:/bin"
    return subprocess.Popen(
        [clone / "scripts/serve"],
        env=bare_environ(PATH=path, **environ),
        text=True,
        stderr=subprocess.PIPE,
        process_group=0,
    )


def test_a_python_that_is_too_old_says_how_to_get_another(clone: Path) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        fake(clone, name, '[ "$1" = --version ] && echo Python 3.9.2 || exit 1')
    said = serve(clone).communicate(timeout=DEADLINE)[1]
    assert "needs Python 3.11 or newer, and there is none here (Python 3.9.2)" in said
    assert "apt install python3" in said and "brew install python" in said


def test_an_environment_of_somebody_else_is_not_deleted(clone: Path) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv/precious").touch()
    said = serve(clone).communicate(timeout=DEADLINE)[1]
    assert "mv .venv .venv.old" in said
    assert (clone / ".venv/precious").exists()


def test_ctrl_c_while_pip_works_is_no_missing_network_and_no_refusal(clone: Path) -> None:
    (clone / ".venv/bin").mkdir(parents=True)
    python = clone / ".venv/bin/python"
    # As pip does: it catches the signal, says so, and fails.
    python.write_text(
        "#!/bin/bash\n[ \"$1\" = -c ] && exit 0\ntrap 'exit 1' INT\ntouch started\nwhile :; do sleep 0.05; done\n"
    )
    python.chmod(0o755)
    shutil.copy(clone / "requirements.txt", clone / ".venv")  # the model's turn
    server = serve(clone)
    limit = time.monotonic() + DEADLINE
    while not (clone / "started").exists():
        assert time.monotonic() < limit
        time.sleep(0.02)
    os.killpg(server.pid, signal.SIGINT)
    assert "run it again to go on" in server.communicate(timeout=DEADLINE)[1]
    assert server.returncode == 130
    assert not (clone / ".venv/no-local-model").exists()
