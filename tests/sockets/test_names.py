"""A name server that hangs, fails and changes its mind."""

import socket
import threading

import gevent
import pytest

from millstream.settings import UpstreamSettings
from millstream.sockets import names
from millstream.sockets.names import Names, NameServerSilent
from millstream.upstreams.openai import OpenAI
from tests.upstreams.fake import failure

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.7", 80))]
WAIT = 30.0


@pytest.fixture
def server(monkeypatch):
    """Its `says` is called in the lookup's thread; `asked` are the names."""

    class Server:
        asked: list[str] = []
        says = staticmethod(lambda: FOUND)

        def __call__(self, name, port, type, flags=0):
            if flags:
                raise socket.gaierror(socket.EAI_NONAME, "no address")
            self.asked.append(name)
            return self.says()

    server = Server()
    server.asked = []
    monkeypatch.setattr(names, "get_original", lambda module, name: server)
    return server


def test_a_name_is_looked_up_once_for_all_and_known_for_a_while(server, monkeypatch):
    one = Names()
    together = [gevent.spawn(one.addresses, "a.example", 80, WAIT) for _ in range(20)]
    assert [greenlet.get(timeout=WAIT) for greenlet in together] == [FOUND] * 20
    assert one.addresses("a.example", 80, WAIT) == FOUND
    assert server.asked == ["a.example"]
    monkeypatch.setattr(names, "FRESH", 0.0)
    server.says = list
    assert one.addresses("a.example", 80, WAIT) == FOUND  # what is stale serves until there is news
    gevent.wait(list(one._lookups.values()), timeout=WAIT)
    assert server.asked == ["a.example"] * 2


def test_one_that_hangs_is_waited_for_no_longer_than_the_limit_and_holds_nobody_else_up(server):
    over, one = threading.Event(), Names()
    server.says = lambda: FOUND if server.asked[-1] == "well.example" else over.wait(WAIT)
    silent = [gevent.spawn(_silent, one) for _ in range(50)]
    assert all(greenlet.get(timeout=WAIT) for greenlet in silent)
    assert one.addresses("well.example", 80, WAIT) == FOUND
    assert server.asked == ["hangs.example", "well.example"]
    over.set()
    gevent.wait(list(one._lookups.values()), timeout=WAIT)


def _silent(one):
    with pytest.raises(NameServerSilent):
        one.addresses("hangs.example", 80, 0.05)
    return True


@pytest.mark.parametrize("name", ["none.example", "a" * 100 + ".example"])
def test_a_name_that_is_not_there_is_said_and_asked_for_again(server, name):
    def says():
        raise socket.gaierror(socket.EAI_NONAME, "none") if name == "none.example" else UnicodeError("too long")

    server.says = says
    one = Names()
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            one.addresses(name, 80, WAIT)
    assert len(server.asked) == 2


def test_an_address_needs_no_name_server():
    assert Names().addresses("127.0.0.1", 80, 0.0)[0][4] == ("127.0.0.1", 80)
    assert Names().addresses("::1", 80, 0.0)[0][4][:2] == ("::1", 80)


def test_an_upstream_whose_name_server_hangs_is_not_said_to_be_unknown(server):
    over = threading.Event()
    server.says = lambda: over.wait(WAIT)
    settings = UpstreamSettings("x", "openai", base_url="http://hangs-too.example/v1", connect=0.05)
    error = failure(OpenAI(settings))
    over.set()
    assert (error.code, error.paid, error.status) == ("connect_timeout", False, 504)
    assert "no name server answered" in error.message and "DNS" in error.message
    gevent.wait(list(names.NAMES._lookups.values()), timeout=WAIT)
