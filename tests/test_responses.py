"""A response's body, written past the server while nobody iterates."""

from __future__ import annotations

from functools import partial

import pytest

from millstream.events import End, Event, Meta
from millstream.formats import Options
from millstream.formats.html import Html
from millstream.formats.sse import Sse
from millstream.formats.text import Text
from millstream.responses import Outlet
from millstream.sockets.gathering import Gathering

META = Meta("a" * 22, "", "", 0.0, "m")
DONE = Event("done", end=End("m", "u"), n=9)


class Client:
    """Takes so many bytes of each piece that is offered; all of what comes the other way."""

    def __init__(self, takes: int | None = 10_000) -> None:
        self.takes = takes
        self.chunks = takes is not None
        self.got: list[bytes] = []

    def frame(self, piece: bytes) -> bytes:
        return piece

    def offer(self, frame: bytes) -> bytes:
        if self.takes is not None and self.takes < 0:
            raise ConnectionResetError
        self.got.append(frame[: self.takes])
        return frame[self.takes :]

    def send_rest(self, rest: bytes) -> None:
        if self.takes is not None and self.takes < 0:
            raise ConnectionResetError
        self.got += [rest] if rest else []

    def unwatch(self) -> None:
        pass


def taking(batches):
    return partial(next, iter(batches), None)


def says(text: str) -> list[Event]:
    return [Event(text=text, n=1)]


def test_nothing_is_written_before_the_headers_have_gone_out():
    client = Client()
    body = Outlet(taking([[DONE]]), Text(META, Options()), client, lambda: None)
    assert (body.write(says("early")), client.got) == (False, [])


@pytest.fixture
def written():
    """A body whose iterator waits for its next batch, as it does when it is written to; and its client."""

    def make(takes: int | None):
        client, woken = Client(takes), []

        def batches():
            assert body.write(says("hello"))
            if woken:
                assert not body.write(says("not yet"))  # and so it is not encoded
                yield []
            yield [DONE]

        body = Outlet(taking(batches()), Text(META, Options()), client, lambda: None)
        body.wake = lambda: woken.append(1)
        for piece in body:
            client.got.append(piece)
        return len(woken), b"".join(client.got), body

    return make


def test_what_the_client_takes_at_once_is_all(written):
    assert written(10)[:2] == (0, b"hello")


def test_the_rest_is_sent_when_the_body_is_woken(written):
    woken, got, body = written(2)
    assert (woken, got, body.sent) == (1, b"hello", 5)


def test_what_does_not_go_in_chunks_is_left_to_the_server(written):
    assert written(None)[:2] == (1, b"hello")


@pytest.mark.parametrize("takes", [None, 3, 10_000], ids=["HTTP/1.0", "slow", "HTTP/1.1"])
def test_each_batch_is_encoded_once_whichever_way_it_goes_out(takes):
    client = Client(takes)
    texts = ["  indented ``", "`py\ncode\n```\n", "tail"]

    woken = []

    def batches():
        for n, text in enumerate(texts, 1):
            assert body.write([Event(text=text, n=n)])
            while woken:
                woken.pop()
                yield []
        yield [DONE]

    body = Outlet(taking(batches()), Html(META, Options(render=lambda name, values: name)), client, lambda: None)
    body.wake = lambda: woken.append(1)
    for piece in body:
        client.got.append(piece)
    alone = Html(META, Options(render=lambda name, values: name))
    whole = [alone.opening(), *(alone.encode([Event(text=text)]) for text in texts), alone.closing(DONE)]
    assert b"".join(client.got) == b"".join(whole)


def test_that_a_client_has_left_is_the_iterator_s_to_meet(written):
    with pytest.raises(ConnectionResetError):
        written(-1)


@pytest.fixture
def later(monkeypatch):
    """Under load: what is to be sent when all has been read."""
    sends = []
    monkeypatch.setattr(Gathering, "later", lambda send: sends.append(send) or True)
    return sends


@pytest.mark.parametrize(("takes", "got"), [(10, [b"hello"]), (2, [b"he", b"ll", b"o"])])
def test_under_load_it_is_sent_later_and_the_iterator_is_woken_for_the_rest(later, takes, got):
    client, woken, outcome = Client(takes), [], []

    def batches():
        outcome.append(body.write(says("hello")))
        outcome.append(list(client.got))
        later.pop()()
        if woken:
            yield []
        yield [DONE]

    body = Outlet(taking(batches()), Text(META, Options()), client, lambda: None)
    body.wake = lambda: woken.append(1)
    list(body)
    assert (outcome, client.got, len(woken)) == ([True, []], got, takes < 5)


def test_what_was_to_be_sent_later_is_sent_before_the_end(later):
    client = Client()

    def batches():
        body.write(says("hello"))
        yield [DONE]

    body = Outlet(taking(batches()), Text(META, Options()), client, lambda: None)
    list(body)
    later.pop()()
    assert client.got == [b"hello"]


def test_a_piece_of_nothing_is_not_written_since_an_empty_chunk_is_the_last():
    class Half(Text):
        def encode(self, batch):
            return b""

    client = Client()
    outcome: list[object] = []

    def batches():
        outcome.append(body.write(says("half of a character")))
        yield [DONE]

    body = Outlet(taking(batches()), Half(META, Options()), client, lambda: None)
    list(body)
    assert (outcome, client.got) == ([True], [])


@pytest.mark.parametrize("there", [[Event(text="one", n=1)], [Event(text="one", n=1), DONE]])
def test_what_is_there_already_goes_out_with_the_opening(there):
    body = Outlet(taking([[DONE]]), Sse(META, Options()), Client(), lambda: None)
    body.ready = lambda: there
    alone = Sse(META, Options())
    first, *rest = body
    assert first == b"".join(
        [alone.opening(), alone.encode(there[:1])] + ([alone.closing(DONE)] if there[1:] else [])
    )
    assert b"".join(rest) == (b"" if there[1:] else alone.closing(DONE))
    assert body.end is DONE


def test_after_close_it_takes_and_gives_nothing_however_often_it_is_closed():
    left, client = [], Client()
    body = Outlet(taking([[DONE]]), Text(META, Options()), client, lambda: left.append(1))
    body.close()
    body.close()
    assert (body.write(says("late")), list(body), left, client.got) == (False, [], [1], [])
