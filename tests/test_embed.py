"""`millstream.stream(generator)` in applications that are not ours."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import flask
import pytest

import millstream
from millstream.errors import MillstreamError
from millstream.events import End, Event
from millstream.wire.sse import Decoder

ROOT = Path(__file__).resolve().parents[1]
WAIT = 30  # s; a deadline for what should come at once


@pytest.fixture
def serve():
    """A client of a small application whose one page streams what `make()` gives."""

    def serve(make, **options):
        app = flask.Flask(__name__)
        app.add_url_rule("/", view_func=lambda: millstream.stream(make(), **options))
        app.testing = True
        return app.test_client()

    return serve


def words():
    yield "one "
    yield Event("reasoning", text="hm")
    yield "two\n"


def events(response):
    return [(event.type, json.loads(event.data)) for event in Decoder().feed(response.data)]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/plain; charset=utf-8"),
        ("*/*", "text/plain; charset=utf-8"),
        ("text/event-stream", "text/event-stream; charset=utf-8"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/json, */*;q=0.1", "application/json"),
        ("text/html, */*;q=0.1", "text/plain; charset=utf-8"),
    ],
)
def test_accept_chooses_the_format(serve, accept, content_type):
    response = serve(words).get("/", headers={"Accept": accept} if accept else {})
    assert (response.status_code, response.headers["Content-Type"]) == (200, content_type)
    assert response.headers["Cache-Control"] == "no-store, no-transform"
    assert response.headers["Vary"] == "Accept"


def test_text_is_what_was_yielded_and_nothing_else(serve):
    assert serve(words).get("/").text == "one two\n"


def test_events_carry_everything_and_one_end(serve):
    start, *middle, done = events(serve(words).get("/", headers={"Accept": "text/event-stream"}))
    assert start[0] == "start"
    assert middle == [("message", {"text": "one "}), ("reasoning", {"text": "hm"}), ("message", {"text": "two\n"})]
    assert (done[0], done[1]["finish_reason"]) == ("done", "stop")


def test_json_comes_at_the_end(serve):
    body = serve(words).get("/", headers={"Accept": "application/json"}).json
    assert (body["text"], body["reasoning"]) == ("one two\n", "hm")


def test_any_iterable_is_taken(serve):
    assert serve(lambda: ["a", "b"]).get("/").text == "ab"
    assert serve(lambda: iter(())).get("/").text == ""


def test_an_end_of_its_own_ends_it(serve):
    def ends():
        yield "a"
        yield Event("done", end=End(model="m", upstream="u", finish_reason="length"))
        yield "never"

    *_, text, done = events(serve(ends).get("/", headers={"Accept": "text/event-stream"}))
    assert (text[1]["text"], done[1]["finish_reason"], done[1]["model"]) == ("a", "length", "m")


def test_where_nothing_fits_it_is_a_406_and_the_generator_is_closed(serve):
    closed = threading.Event()

    class Source:
        def __iter__(self):
            raise AssertionError("nobody asked for it")

        def close(self):
            closed.set()

    response = serve(Source).get("/", headers={"Accept": "image/png"})
    assert (response.status_code, response.json["error"]["code"]) == (406, "not_acceptable")
    assert closed.is_set()


def raises(error):
    def source():
        yield "begun"
        raise error

    return source


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (raises(ValueError("secret details")), "internal"),
        (raises(SystemExit(1)), "internal"),
        (raises(MillstreamError("upstream_broke", "It broke.")), "upstream_broke"),
        (lambda: ["begun", b"bytes"], "internal"),
        (lambda: ["begun", None], "internal"),
    ],
)
def test_an_exception_makes_it_fail(serve, caplog, source, code):
    *_, begun, failed = events(serve(source).get("/", headers={"Accept": "text/event-stream"}))
    assert begun == ("message", {"text": "begun"})
    assert (failed[0], failed[1]["error"]["code"]) == ("failed", code)
    assert "secret" not in json.dumps(failed)
    assert bool(caplog.records) == (code == "internal")


def test_a_type_that_is_none_is_named_in_the_log(serve, caplog):
    events(serve(lambda: [b"bytes"]).get("/", headers={"Accept": "text/event-stream"}))
    assert "has to yield str or Event, not bytes" in caplog.text


@pytest.mark.parametrize(
    ("accept", "heartbeat"), [("text/event-stream", b": ping\n"), ("application/x-ndjson", b"\n")]
)
def test_heartbeats_come_while_the_generator_is_silent(serve, accept, heartbeat):
    goes_on = threading.Event()

    def silent():
        assert goes_on.wait(WAIT)
        yield "at last"

    response = serve(silent, heartbeat=0.02).get("/", headers={"Accept": accept}, buffered=False)
    pieces = response.iter_encoded()
    next(pieces)  # the opening
    assert [next(pieces) for _ in range(3)] == [heartbeat] * 3
    goes_on.set()
    assert b"at last" in b"".join(pieces)


def test_the_generator_is_closed_when_the_response_is(serve):
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield "x"
        finally:
            closed.set()

    response = serve(endless).get("/", buffered=False)
    pieces = response.iter_encoded()
    while b"x" not in next(pieces):
        pass
    response.close()
    assert closed.wait(WAIT)


def test_a_generator_is_only_so_far_ahead_of_its_reader(serve):
    from millstream.embed import AHEAD

    yielded = []

    def eager():
        for n in range(10 * AHEAD):
            yielded.append(n)
            yield "x"

    response = serve(eager).get("/", buffered=False)
    until = time.monotonic() + WAIT
    while len(yielded) < AHEAD and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)
    assert AHEAD <= len(yielded) <= AHEAD + 2
    assert len(b"".join(response.iter_encoded())) == 10 * AHEAD


def test_it_runs_outside_the_request(serve):
    def asks():
        yield str(flask.has_request_context())

    assert serve(asks).get("/").text == "False"


# -- with real servers ------------------------------------------------------------------------------------------

APP = """
    import sys
    if "gunicorn" in sys.modules:
        from gevent import monkey
        monkey.patch_all()
    import time
    import flask
    import millstream

    app = flask.Flask(__name__)

    def ticks(n):
        try:
            for i in range(n):
                yield f"tick {i}\\n"
                time.sleep(0.05)
        finally:
            print("closed", flush=True)

    def breaks():
        yield "begun"
        raise ValueError("it broke")

    app.add_url_rule("/ticks/<int:n>", view_func=lambda n: millstream.stream(ticks(n), heartbeat=0.2), endpoint="t")
    app.add_url_rule("/breaks", view_func=lambda: millstream.stream(breaks()), endpoint="b")
"""
SERVERS = {
    "gunicorn": ["gunicorn", "-k", "gevent", "-b", "127.0.0.1:0", "small:app"],
    "flask": ["flask", "--app", "small", "run", "--port", "0"],
}


@contextmanager
def running(name: str, folder: Path):
    """The small application under a real server; gives its port and what it prints."""
    (folder / "small.py").write_text(textwrap.dedent(APP))
    said: list[str] = []
    changed = threading.Condition()
    process = subprocess.Popen(
        [sys.executable, "-m", *SERVERS[name]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def listen():
        for line in process.stdout:
            with changed:
                said.append(line)
                changed.notify_all()

    def heard(word: str) -> str:
        with changed:
            assert changed.wait_for(lambda: any(word in line for line in said), WAIT), said
            return next(line for line in said if word in line)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield int(re.search(r"127\.0\.0\.1:(\d+)", heard("http://127.0.0.1:"))[1]), heard
    finally:
        process.terminate()
        process.wait(WAIT)
        thread.join(WAIT)
        process.stdout.close()


def ask(port: int, path: str, accept: str = "*/*") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), WAIT)
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n".encode())
    return sock


def read(sock: socket.socket, until: bytes = b"") -> bytes:
    """To the end, or until it holds `until`."""
    data = b""
    while not (until and until in data):
        if not (more := sock.recv(65536)):
            break
        data += more
    return data


@pytest.mark.system
@pytest.mark.parametrize("name", SERVERS)
def test_a_real_server_streams_it_as_it_comes(tmp_path, name):
    with running(name, tmp_path) as (port, heard):
        with ask(port, "/ticks/100000", "text/event-stream") as sock:
            assert b"event: start" in read(sock, b"tick 3")  # an answer that ends never was not waited for
        assert heard("closed")
        with ask(port, "/ticks/3") as sock:
            body = read(sock)
            assert b"tick 0" in body and b"tick 2" in body


@pytest.mark.system
@pytest.mark.parametrize("name", SERVERS)
def test_a_real_server_tells_of_a_failure(tmp_path, name):
    with running(name, tmp_path) as (port, heard):
        with ask(port, "/breaks", "application/x-ndjson") as sock:
            body = read(sock)
        assert b'"begun"' in body and b'"code":"internal"' in body
        assert heard("ValueError: it broke")
        with ask(port, "/breaks") as sock:
            text = read(sock)
        assert b"begun" in text
        assert not text.endswith(b"0\r\n\r\n")
