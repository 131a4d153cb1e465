"""gunicorn.conf.py as it is, in a real gunicorn: what it says at the start, and what SIGHUP does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.upstreams.fake import Fake, whole

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 60.0  # s
OWN = ("app.py", "wsgi.py", "gunicorn.conf.py", "millstream", "templates", "static")


def copy_to(folder: Path) -> None:
    """The project's code, for a test that changes it."""
    for name in OWN:
        source = ROOT / name
        if source.is_dir():
            # With what is compiled, which is still good for the copies; but not what somebody is writing just now.
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            shutil.copy(source, folder)


@contextmanager
def start(folder: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    config = folder / "millstream.toml"
    config.touch()
    settings = {
        "PORT": "0",
        "MILLSTREAM_STORE": f"file:{folder}/streams",
        "MILLSTREAM_CONFIG": str(config),
        **environ,
    }
    with (folder / "stderr").open("w") as stderr:
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "wsgi:app"],
            cwd=folder if (folder / "wsgi.py").exists() else ROOT,
            env={**os.environ, "HOME": f"{folder}/home", "XDG_RUNTIME_DIR": "", **settings},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        yield server
    finally:
        server.terminate()
        server.communicate(timeout=DEADLINE)


def url_said_by(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    return server.stdout.readline().split()[1]


def get(url: str) -> str:
    """The body of the answer, whatever its status."""
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.netloc, timeout=DEADLINE)) as connection:
        connection.request("GET", parts.path)
        return connection.getresponse().read().decode()


def until(met: Callable[[], bool]) -> None:
    limit = time.monotonic() + DEADLINE
    while not met():
        assert time.monotonic() < limit
        time.sleep(0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    copy_to(tmp_path)
    (tmp_path / "millstream.toml").write_text('[upstreams.demo]\nkind = "demo"\n')
    with start(tmp_path) as server:
        yield server


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"PORT": "many"}, "PORT is 'many'; it has to be a number up to 65535"),
        ({"MILLSTREAM_TTL": "x"}, "MILLSTREAM_TTL is 'x'"),
        ({"MILLSTREAM_STORE": "memory:", "WEB_CONCURRENCY": "2"}, "WEB_CONCURRENCY=1"),
        ({"MILLSTREAM_STORE": "file:/dev/null/x"}, "/dev/null/x can't be used"),
        ({"MILLSTREAM_MODEL": "none"}, "model is 'none'"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line(tmp_path: Path, environ: dict[str, str], says: str) -> None:
    with start(tmp_path, **environ) as server:
        assert server.wait(DEADLINE) == 1
    (line,) = (tmp_path / "stderr").read_text().splitlines()
    assert line.startswith("Millstream can't start: ")
    assert says in line


def test_a_taken_port_stops_the_start_with_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start(tmp_path, PORT=str(port)) as server:
            assert server.wait(DEADLINE) == 1
    (line,) = (tmp_path / "stderr").read_text().splitlines()
    assert f"127.0.0.1:{port}: Address already in use" in line


def test_one_line_says_where_and_which_model(server: subprocess.Popen[str]) -> None:
    assert server.stdout is not None
    words = server.stdout.readline().split()
    assert (words[0], *words[2:]) == ("Millstream:", "—", "demo", "answers")
    assert get(words[1] + "healthz")
    facts = "upstreams: demo; store: file; keys: this machine only, without access keys; limits: none"
    assert server.stdout.readline() == f"Millstream: {facts}\n"


@pytest.mark.parametrize(
    ("module", "url", "word"),
    [
        ("views/operator.py", "healthz", '"ok"'),
        ("errors.py", "streams/" + "A" * 22, "There is no such stream"),  # gunicorn's master itself uses this one
    ],
)
def test_sighup_serves_new_code(
    server: subprocess.Popen[str], tmp_path: Path, module: str, url: str, word: str
) -> None:
    url = url_said_by(server) + url
    assert word in get(url)
    code = tmp_path / "millstream" / module
    code.write_text(code.read_text().replace(word, word.replace("o", "0")))
    server.send_signal(signal.SIGHUP)
    until(lambda: word.replace("o", "0") in get(url))


GARBAGE = """
import gc, sys
SPARED = {"requests", "urllib3", "redis", "wsproto", "h11"}
app.add_url_rule(
    "/garbage", view_func=lambda: [gc.isenabled(), gc.get_freeze_count() > 50_000, *SPARED.intersection(sys.modules)]
)
"""


def test_a_worker_never_looks_for_garbage_in_what_the_start_has_made_nor_imports_what_it_needs_not(
    tmp_path: Path,
) -> None:
    copy_to(tmp_path)
    with (tmp_path / "wsgi.py").open("a") as wsgi:
        wsgi.write(GARBAGE)
    with start(tmp_path) as server:
        assert json.loads(get(url_said_by(server) + "garbage")) == [True, True]


SLOW = """
import time


def _slowly():
    until = time.monotonic() + 1
    while time.monotonic() < until:
        pass


os.register_at_fork(after_in_child=_slowly)
"""


def test_a_worker_that_is_told_to_end_before_it_has_begun_ends(tmp_path: Path) -> None:
    copy_to(tmp_path)
    with (tmp_path / "gunicorn.conf.py").open("a") as conf:
        conf.write(SLOW)
    with start(tmp_path, MILLSTREAM_GRACEFUL_TIMEOUT="600") as server:
        until(lambda: bool(psutil.Process(server.pid).children()))
    assert server.returncode == 0


OLD = """
import weakref
_on_reload, _seen = on_reload, sys.__dict__.setdefault("seen", [])


def on_reload(arbiter):
    _on_reload(arbiter)
    _seen.append(weakref.ref(sys.modules["millstream.application"].create_app))
    frozen = "frozen" if gc.get_freeze_count() > 50_000 else "not frozen"
    print(sum(module() is not None for module in _seen), frozen, flush=True)
"""


def test_sighup_frees_the_old_code_and_workers_share_the_new(tmp_path: Path) -> None:
    copy_to(tmp_path)
    with (tmp_path / "gunicorn.conf.py").open("a") as conf:
        conf.write(OLD)
    with start(tmp_path, WEB_CONCURRENCY="1") as server:
        url_said_by(server)
        assert server.stdout is not None
        for _ in range(3):
            server.send_signal(signal.SIGHUP)
            assert next(line for line in server.stdout if "frozen" in line) == "1 frozen\n"


def test_sighup_with_a_wrong_setting_changes_nothing(server: subprocess.Popen[str], tmp_path: Path) -> None:
    url = url_said_by(server)
    (tmp_path / "millstream.toml").write_text("ttl = 'x'")
    server.send_signal(signal.SIGHUP)
    until(lambda: "Not reloaded: ttl is 'x'" in (tmp_path / "stderr").read_text())
    assert get(url + "healthz")
    assert server.poll() is None
    assert not (tmp_path / "home").exists()  # where gunicorn would have put its control socket by now


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_a_worker_just_forked_hears_its_end(tmp_path: Path, number: signal.Signals) -> None:
    script = f"""if True:
        import os, runpy, signal
        from types import SimpleNamespace as Fake
        conf = runpy.run_path("gunicorn.conf.py")
        signal.signal({number.value}, lambda *_: None)  # the master's own, which only take a note
        conf["post_fork"](Fake(metrics_room=Fake(join=lambda: None)), None)
        os.kill(os.getpid(), {number.value})
        raise SystemExit("the signal was lost")"""
    environ = {**os.environ, "MILLSTREAM_STORE": f"file:{tmp_path}/streams", "MILLSTREAM_CONFIG": os.devnull}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


LIST = b'{"data":[{"id":"text-embedding-x"},{"id":"gpt-x"},{"id":"gpt-y"}]}'


@pytest.mark.parametrize("listed", [True, False])
def test_with_a_key_alone_it_starts_whether_there_is_a_list_of_models_or_not(tmp_path: Path, listed: bool) -> None:
    with closing(Fake()) as upstream:
        if listed:
            upstream.models = whole(body=LIST)
        environ = {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": upstream.address}
        with start(tmp_path, **environ) as server:
            assert server.stdout is not None
            said = server.stdout.readline()
            assert said.startswith("Millstream: http://127.0.0.1:") and "answers" not in said
            wanted = "asking gpt-x, the first of the list" if listed else "The list of models could not be fetched"
            until(lambda: wanted in (tmp_path / "stderr").read_text())
