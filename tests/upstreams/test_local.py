"""The real model, in its own processes, and what becomes of them."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import psutil
import pytest
import requests

from millstream.settings import Secret, Settings, UpstreamSettings
from millstream.upstreams import local
from millstream.upstreams.local import Local
from millstream.upstreams.openai import OpenAI
from tests.calling import calling

pytestmark = pytest.mark.system

ROOT = Path(__file__).parent.parent.parent
WAIT = 60.0  # s; a start takes one
STORY = calling("SmolLM2-135M-Instruct", [{"role": "user", "content": "Tell me a long story."}], {"temperature": 0})

SECRET = "secret-0123456789"

# What gunicorn's master does: starts the server, twice asked once done, and lives on.
MASTER = """
import os, sys
from millstream.settings import Settings
from millstream.upstreams.router import prepare
from tests.calling import calling
prepare(Settings()); prepare(Settings())
print(os.environ["MILLSTREAM_LOCAL_URL"], os.environ["MILLSTREAM_LOCAL_KEY"], flush=True)
sys.stdin.read()
"""


def within(seconds, holds):
    """Whether it comes to hold."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def has_gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


class Server:
    def __init__(self, monkeypatch):
        monkeypatch.setenv("MILLSTREAM_SESSION_SECRET", SECRET)
        monkeypatch.setenv("SOME_API_KEY", SECRET)
        self.master = subprocess.Popen(
            [sys.executable, "-c", MASTER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url, self.key = self.master.stdout.readline().split()
        monkeypatch.setenv(local.URL, self.url)
        monkeypatch.setenv(local.KEY, self.key)
        self.supervisor = self.only_child(psutil.Process(self.master.pid))
        self.upstream = Local(UpstreamSettings("local", "local", first_token=WAIT), Settings())

    def only_child(self, process, but=None):
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            children = [child for child in process.children() if child.pid != but]
            if children:
                (child,) = children
                return child
            time.sleep(0.02)
        raise AssertionError(f"{process} has no child")

    def answer(self, tokens):
        call = calling(STORY.model, STORY.question.body["messages"], {"temperature": 0, "max_tokens": tokens})
        return [event for batch in self.upstream.stream(call) for event in batch]

    def answer_whole(self):
        """Without a stream, which is broken off."""
        asked = {"messages": STORY.question.body["messages"], "max_tokens": 2000}
        with contextlib.suppress(OSError):
            requests.post(f"{self.url}/chat/completions", json=asked, headers={"Authorization": f"Bearer {self.key}"})

    def is_busy(self, model):
        """One of its threads wants a core, whether or not it gets one on a busy machine."""
        for _ in range(20):
            for thread in Path(f"/proc/{model.pid}/task").glob("*/stat"):
                with contextlib.suppress(OSError):  # the thread has just ended
                    if thread.read_text().rpartition(")")[2].split()[0] == "R":
                        return True
            time.sleep(0.01)
        return False

    def close(self):
        self.master.kill()
        self.master.communicate()


@pytest.fixture
def server(monkeypatch):
    started = Server(monkeypatch)
    yield started
    started.close()


def test_the_model_answers(server):
    for _ in range(3):
        *tokens, done = server.answer(20)
        assert len(tokens) > 10
        assert (done.end.model, done.end.finish_reason) == ("SmolLM2-135M-Instruct", "length")
        assert (done.end.usage.output, done.end.usage.source) == (20, "upstream")
        assert done.end.usage.input > 20


def test_nobody_answers_without_the_key_and_ps_does_not_show_it(server):
    server.answer(1)
    stranger = OpenAI(UpstreamSettings("x", "openai", base_url=server.url, api_key=Secret("guess")))
    with pytest.raises(Exception, match="did not accept the key"):
        next(stranger.stream(STORY))
    model = server.only_child(server.supervisor)
    for process in (server.supervisor, model):
        assert server.key not in " ".join(process.cmdline())


def test_its_processes_inherit_no_secret(server):
    server.answer(1)
    for process in (server.supervisor, server.only_child(server.supervisor)):
        environ = process.environ()
        assert environ["PATH"] == os.environ["PATH"]
        assert SECRET not in environ.values()


def test_it_stops_generating_when_its_client_has_left(server):
    stream = server.upstream.stream(STORY)
    next(stream), next(stream), next(stream)
    model = server.only_child(server.supervisor)
    assert within(WAIT, lambda: server.is_busy(model))
    stream.close()
    assert within(WAIT, lambda: not server.is_busy(model))


def test_it_is_started_again_when_it_was_killed(server):
    server.answer(1)
    model = server.only_child(server.supervisor)
    model.kill()
    assert server.answer(5)[-1].type == "done"
    assert server.only_child(server.supervisor, but=model.pid).is_running()


@pytest.mark.parametrize("victim", ["master", "supervisor"])
def test_nothing_is_left_of_it_when_one_above_was_killed(server, victim):
    server.answer(1)
    family = [server.supervisor, server.only_child(server.supervisor)]
    # While it is at work: then llama.cpp's own orderly end waits for ever.
    waiting = [Thread(target=server.answer_whole, daemon=True) for _ in range(3)]
    for one in waiting:
        one.start()
    assert within(WAIT, lambda: server.is_busy(family[1]))
    (server.master if victim == "master" else server.supervisor).kill()
    server.master.poll()
    assert within(WAIT, lambda: all(has_gone(one) for one in family))


def test_a_pipe_of_before_an_exec_is_not_ours():
    reading, writing = os.pipe()
    identity = local._identity(writing)
    assert local._is_ours(identity)
    os.close(writing)
    assert not local._is_ours(identity)
    os.close(reading)
    for other in ("", "x", "0", "99999:1"):
        assert not local._is_ours(other)


def test_an_answer_without_a_limit_of_its_own_ends(server, monkeypatch):
    monkeypatch.setitem(local.PACKAGED, "max_tokens", 40)
    *_, last = server.upstream.stream(STORY)
    assert last[-1].end.usage.output == 40 < local.ENOUGH
