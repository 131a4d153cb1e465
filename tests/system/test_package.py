"""The wheel in an empty folder: the command, the server, and its place beside other applications."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from tests.commands.ollama import Ollama
from tests.system.nginx import free_port
from tests.system.package import DEADLINE, ROOT, UV, bare_environ, environment, installed, run, wheel

pytestmark = pytest.mark.system

QUESTION = b"prompt=x&model=demo%3Fpace%3D1000"
DEMO = "[upstreams.demo]\nkind = 'demo'\n"


@contextmanager
def serving(home: Path, *command: str | Path, settings: str | None = DEMO, **environ: str) -> Iterator[str]:
    """Runs a command for a user with nothing but an empty home, and gives the server's address."""
    port = free_port()
    (home / ".config/millstream").mkdir(parents=True, exist_ok=True)
    if settings is not None:
        (home / ".config/millstream/millstream.toml").write_text(settings, "utf-8")
    (home / "work").mkdir(exist_ok=True)
    environ = bare_environ(HOME=str(home), PORT=str(port), UV_CACHE_DIR=run(UV, "cache", "dir").strip(), **environ)
    with (home / "log").open("w") as log:
        server = subprocess.Popen(list(map(str, command)), cwd=home / "work", env=environ, stdout=log, stderr=log)
    try:
        limit = time.monotonic() + DEADLINE
        while not answers(f"http://127.0.0.1:{port}"):
            assert server.poll() is None and time.monotonic() < limit, (home / "log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(DEADLINE)


def answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/healthz", timeout=DEADLINE) as response:
            return bool(response.status == 200)
    except URLError:
        return False


def models(address: str) -> list[str]:
    with urlopen(f"{address}/v1/models", timeout=DEADLINE) as response:
        return [model["id"] for model in json.load(response)["data"]]


def test_uvx_serves_from_the_wheel_and_writes_nothing_where_it_was_started(tmp_path: Path) -> None:
    with serving(tmp_path, UV, "tool", "run", "--from", wheel(), "millstream") as address:
        for path, body in (("/", None), ("/page.js", None), ("/static/millstream.js", None), ("/chat", QUESTION)):
            with urlopen(address + path, body, DEADLINE) as response:
                assert len(response.read()) > 1000, path
    assert not list((tmp_path / "work").iterdir())
    state = tmp_path / ".local/state/millstream"
    assert (state / "usage.db").exists() and state.stat().st_mode & 0o777 == 0o700


def test_the_first_start_brings_the_local_model_and_is_quick(tmp_path: Path) -> None:
    wheel()
    before = work()
    with serving(tmp_path, UV, "tool", "run", "--from", wheel(), "millstream", settings="") as address:
        assert models(address) == ["SmolLM2-135M-Instruct"]
        with urlopen(f"{address}/chat", b"prompt=Say+hello&max_tokens=20", DEADLINE) as response:
            assert len(response.read()) > 5
    assert "Installing the local model" in (tmp_path / "log").read_text()
    assert work() - before < 10  # of work: a calm machine takes no longer, however busy this one is


def work() -> float:
    """Seconds of CPU that this process' children have used."""
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_where_the_local_model_cannot_be_had_the_demo_answers_and_nobody_asks_again(tmp_path: Path) -> None:
    nowhere = {"UV_OFFLINE": "1", "UV_NO_CACHE": "1"}
    bin = installed()
    for said in (1, 0):
        with serving(tmp_path, bin / "millstream", settings="", UV=UV, **nowhere) as address:
            assert models(address) == ["demo"]
        assert (tmp_path / "log").read_text().count("can't be installed here") == said


def test_setup_then_serve_then_a_key_that_is_used_at_once(tmp_path: Path) -> None:
    bin = installed()
    with Ollama("llama3.2") as ollama:
        environ = bare_environ(HOME=str(tmp_path), OLLAMA_HOST=ollama.host)
        assert "✓ first token" in run(bin / "millstream", "setup", "--yes", env=environ)
        with serving(tmp_path, bin / "millstream", settings=None) as address:
            assert ask(address) == (200, b"one two three")
            key = run(bin / "millstream", "keys", "add", "anna", env=environ).split()[0]
            limit = time.monotonic() + DEADLINE
            while ask(address)[0] != 401:
                assert time.monotonic() < limit
            assert ask(address, key) == (200, b"one two three")


# What 0.1 made, and a row that it wrote.
LEDGER_OF_01 = """
CREATE TABLE usage (
    id VARCHAR(64) NOT NULL, created DOUBLE NOT NULL, day VARCHAR(10) NOT NULL, caller VARCHAR(100) NOT NULL,
    api VARCHAR(20) NOT NULL, model VARCHAR(255) NOT NULL, upstream VARCHAR(100) NOT NULL, input BIGINT,
    output BIGINT, source VARCHAR(10), cost VARCHAR(60), currency VARCHAR(3), first_token DOUBLE,
    duration DOUBLE NOT NULL, reason VARCHAR(50) NOT NULL, PRIMARY KEY (id));
CREATE INDEX usage_by_day ON usage (day, caller);
INSERT INTO usage VALUES
    ('x', 1.8e9, date('now'), 'anna', 'chat', 'm', 'u', 50000, 5, 'upstream', '0.5', 'USD', 1, 2, 'stop');
"""


def test_a_folder_of_01_keeps_its_ledger_and_its_keys(tmp_path: Path) -> None:
    bin, old = installed(), tmp_path / "clone"
    (old / "instance").mkdir(parents=True)
    with closing(sqlite3.connect(old / "instance/usage.db")) as ledger:
        ledger.executescript(LEDGER_OF_01)
    settings = f"{DEMO}[keys.anna]\nsha256 = '{sha256(b'ms-anna').hexdigest()}'\n"
    (old / "millstream.toml").write_text(settings, "utf-8")
    places = {"MILLSTREAM_STATE": f"{old}/instance", "MILLSTREAM_CONFIG": f"{old}/millstream.toml"}
    with serving(tmp_path, bin / "millstream", settings=None, **places) as address:
        assert (ask(address)[0], ask(address, "ms-anna")[0]) == (401, 200)
        used = run(bin / "millstream", "usage", "--by", "key", env=bare_environ(HOME=str(tmp_path), **places))
    assert "anna" in used and "  50,0" in used and "0.5 USD" in used  # beside the few of the question above


def ask(address: str, key: str = "") -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urlopen(Request(f"{address}/chat", b"prompt=Count", headers), timeout=DEADLINE) as response:
            return response.status, response.read()
    except HTTPError as error:
        return error.code, b""


def test_the_wheel_has_one_module_and_one_command() -> None:
    with zipfile.ZipFile(wheel()) as archive:
        names = archive.namelist()
        (points,) = (archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"millstream"}
    assert points.split() == ["[console_scripts]", "millstream", "=", "millstream.commands:millstream"]
    for folder in ("static", "templates"):
        files = {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert {f"millstream/served/{file}" for file in files} <= set(names)


def command(home: Path, *words: str) -> str:
    return run(installed() / "millstream", *words, env=bare_environ(HOME=str(home)))


def test_the_command_says_what_there_is(tmp_path: Path) -> None:
    said = command(tmp_path, "--help")
    assert all(word in said for word in ("serve", "keys", "doctor", "--version"))
    assert command(tmp_path, "--version").startswith("millstream, version ")
    assert "add" in command(tmp_path, "keys", "-h")


def test_a_shell_completes_commands_and_options(tmp_path: Path) -> None:
    # What bash would set for `millstream keys re<Tab>`, once it has what `millstream completion bash` prints.
    script = """eval "$(millstream completion bash)"
        COMP_WORDS=(millstream keys re) COMP_CWORD=2; _millstream_completion millstream; echo "${COMPREPLY[@]}"
        """
    path = f"{installed()}:{os.environ['PATH']}"
    assert run("bash", "-c", script, env=bare_environ(HOME=str(tmp_path), PATH=path)).strip() == "revoke"


# name: what the other application has, and what of it has to stay as it is
NEIGHBOURS = {
    "flask 2.3": ["flask==2.3.3", "werkzeug==2.3.8"],
    "flask 3.0": ["flask<3.1"],
    "flask 3": ["flask>=3.1"],
    "its own gunicorn": ["flask==3.0.3", "gunicorn==21.2.0"],
}


def versions(bin: Path) -> dict[str, str]:
    listed = json.loads(run(UV, "pip", "list", "--quiet", "--format", "json", "--python", bin / "python"))
    return {package["name"].lower(): package["version"] for package in listed}


@pytest.mark.parametrize("requirements", NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_beside_another_application_nothing_is_replaced(requirements: list[str], tmp_path: Path) -> None:
    bin = environment(tmp_path / "venv", "pip", *requirements)
    before = versions(bin)
    run(bin / "python", "-m", "pip", "install", "--quiet", "--no-compile", wheel())
    assert before.items() <= versions(bin).items()
    assert "No broken requirements" in run(bin / "python", "-m", "pip", "check")


def test_an_older_gunicorn_is_told_apart_from_a_fault(tmp_path: Path) -> None:
    bin = environment(tmp_path / "venv", str(wheel()), "gunicorn==21.2.0")
    done = subprocess.run(
        [bin / "millstream", "--no-install"], env=bare_environ(HOME=str(tmp_path)), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Millstream can't start: gunicorn 21.2.0 is installed, and the server needs 27.0.1")


def test_the_lowest_versions_of_the_ranges_serve(tmp_path: Path) -> None:
    lowest = run(UV, "pip", "compile", "-q", "--resolution", "lowest-direct", ROOT / "pyproject.toml")
    pins = [line for line in lowest.splitlines() if "==" in line and not line.startswith(("gunicorn", " "))]
    bin = environment(tmp_path / "venv", *pins, "gunicorn[gevent]==27.0.1")
    environment(tmp_path / "venv", str(wheel()), options=("--no-deps",))
    with serving(tmp_path, bin / "millstream", "serve", "--workers", "1") as address:
        for path, body in (("/", None), ("/metrics", None), ("/chat", QUESTION)):
            with urlopen(address + path, body, DEADLINE) as response:
                assert len(response.read()) > 500, path
