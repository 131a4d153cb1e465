"""When an upstream is asked for its list of models, and by how many at once."""

from threading import Event, Thread

import pytest

from millstream.dialects.models import Model
from millstream.errors import UpstreamError
from millstream.upstreams import catalogue
from millstream.upstreams.catalogue import EVERY, SOON, Catalogue

WAIT = 30.0


class Server:
    def __init__(self):
        self.lists = []
        self.asked = 0
        self.done = Event()
        self.now = 0.0

    def __call__(self):
        self.asked += 1
        try:
            said = self.lists.pop(0)
            if isinstance(said, Exception):
                raise said
            return [Model(name) for name in said]
        finally:
            self.done.set()


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def one(server):
    return Catalogue(server, clock=lambda: server.now)


def test_an_old_list_serves_while_the_next_one_is_under_way(server, one):
    server.lists = [["a"], ["b"]]
    assert list(one.look()) == ["a"]
    server.now = EVERY + 1
    server.done.clear()
    assert set(one.look()) <= {"a", "b"}
    assert server.done.wait(WAIT)
    assert list(one.renew()) == ["b"]
    assert server.asked == 2


def test_an_unknown_name_asks_again_but_not_at_once(server, one):
    server.lists = [["a"], ["b"]]
    assert [list(one.renew()), list(one.renew())] == [["a"], ["a"]]
    server.now = SOON + 1
    assert list(one.renew()) == ["b"]


def test_a_list_that_cannot_be_had_leaves_the_old_one_and_is_said_once(server, one, caplog):
    server.lists = [["a"], *[UpstreamError("upstream_auth", "no")] * 2]
    for _ in range(3):
        assert list(one.renew()) == ["a"]
        server.now += SOON + 1
    assert (caplog.text.count("could not be fetched"), one.trouble.code) == (1, "upstream_auth")


def test_many_who_wait_ask_once_and_not_for_long(server, monkeypatch):
    monkeypatch.setattr(catalogue, "PATIENCE", 0.01)
    go = Event()
    one = Catalogue(lambda: go.wait(WAIT) and server())
    server.lists = [["a"]]
    assert one.look() == {}
    waiting = [Thread(target=one.renew) for _ in range(5)]
    for thread in waiting:
        thread.start()
    go.set()
    for thread in waiting:
        thread.join(WAIT)
    assert (list(one.models), server.asked) == (["a"], 1)
