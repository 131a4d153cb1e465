"""That benchmarks can be run, and that their client sees what goes wrong. How fast anything is, no test says."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.system.nginx import free_port

HERE = Path(__file__).resolve().parents[1] / "benchmarks"
# Only benchmarks need a compiler; where there is none, nobody can run them.
compiled = pytest.mark.skipif(not (shutil.which("cc") or os.environ.get("CI")), reason="no C compiler")
PLANNED = """
from contenders import RELAYS
from plan import CASES, PLAN, QUICK
print([turn for turn in PLAN + QUICK if turn.relay not in RELAYS or {*turn.each, *turn.once} - CASES.keys()])
"""

# The same figures for all, in each case that there is.
REPORTED = """
from goals import GOALS, goals, reasons
from measuring import Comparison, reduced
from plan import CASES, PLAN
from tables import tables
comparison = Comparison(None, None, None, missing={"litellm": "too big"})
window = dict(wrong=0, ended=0, seconds=2.0, answers=200, tokens=10**9, first_us=2, delay_us=2, waited=0.0)
for turn in PLAN:
    for name in (*turn.each, *turn.each, *turn.once):
        case = CASES[name]
        for streams in case.streams:
            found = reduced(case, streams, window | {"cpu": [1.0, 0.1, 0.1, 0.1]})
            memory = {"kib": 2.0, "kib_none": 2.0} if case.memory else {}
            comparison.found[turn.relay, f"open-{streams}" if memory else name].append(found | memory)
comparison.found["direct", "first"] = [found | {"first_us": 1}]
figures = comparison.medians()
figures["millstream"]["start"]["reused"] = 1
print(goals(figures, True), *tables(comparison, figures))
print("reasons", {goal.reason for goal in GOALS} ^ reasons().keys())
"""


@pytest.mark.parametrize("path", [*HERE.glob("*.py"), *HERE.glob("relays/*.py")], ids=lambda path: path.name)
def test_each_file_is_python(path):
    compile(path.read_text("utf-8"), str(path), "exec")


def test_the_plan_has_only_relays_and_cases_that_there_are():
    done = subprocess.run([sys.executable, "-c", PLANNED], cwd=HERE, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_whatever_the_plan_measures_has_its_cell():
    done = subprocess.run([sys.executable, "-c", REPORTED], cwd=HERE, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.count("| yes |") + done.stdout.count("| **no** |") == 15
    assert "not installed: too big" in done.stdout
    assert "**Flat out.** " in done.stdout
    assert "reasons set()" in done.stdout


def test_a_wrong_name_is_refused_with_the_right_ones():
    command = [sys.executable, str(HERE / "comparison.py"), "--only", "millstrom"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "millstrom: there is only nginx, millstream" in done.stderr


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    for name in ("upstream", "load"):
        options = ["-O1", "-Wall", "-Wextra", "-Werror", "-o", str(folder / name)]
        subprocess.run(["cc", *options, str(HERE / f"{name}.c")], check=True, timeout=60)
    return folder


def ask(programs, port, streams, amount):
    body = "tokens=5 every=0 "
    request = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    (programs / f"request-{port}").write_text(request)
    command = [
        programs / "load",
        str(port),
        programs / f"request-{port}",
        str(streams),
        str(amount),
        str(os.getpid()),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@compiled
@pytest.mark.parametrize(
    ("streams", "amount", "answers"),
    # More than 20 on a connection: it goes on after an announced close.
    [(3, "-50", 50), (40, "-40@400", 40), (40, "-40@0", 40)],
    ids=["as they end", "often", "together"],
)
def test_the_client_gets_every_token_of_the_emulator(programs, streams, amount, answers):
    port = free_port()
    with subprocess.Popen([programs / "upstream", str(port)]) as emulator:
        try:
            while not listens(port):
                assert emulator.poll() is None
            found = ask(programs, port, streams, amount)
        finally:
            emulator.kill()
    assert (found["tokens"], found["answers"], found["wrong"]) == (5 * answers, answers, 0)


def chunk(text):
    return f"{len(text):x}\r\n{text}\r\n"


@compiled
@pytest.mark.parametrize(
    ("sequences", "wrong"), [((0, 1, 2), 0), ((0, 2), 1), ((0, 1, 1), 1), ((1, 0), 2), ((1, 2), 1)], ids=str
)
def test_the_client_sees_what_is_lost_or_doubled_or_out_of_order(programs, sequences, wrong):
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = head + "".join(chunk(f"data: #{n}:1#\n\n") for n in sequences) + "0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer.encode())
                connection.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        found = ask(programs, server.getsockname()[1], 1, -1)
        thread.join(60)
    assert (found["tokens"], found["wrong"]) == (len(sequences), wrong)
