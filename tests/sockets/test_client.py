"""The client's end of a connection, on real sockets under gevent."""

from __future__ import annotations

import socket as plain
import struct

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from millstream.sockets.client import Aborted, BodyTimeout, Client, deadline, limit_stall

WAIT = 20  # s; a deadline for what should come at once
LINGER_0 = struct.pack("ii", 1, 0)


@pytest.fixture
def pair():
    """A connection: the server's end, as gunicorn has it, and the client's."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    client.settimeout(WAIT)
    yield server, client
    for sock in (server, client, listener):
        sock.close()


def reset(sock) -> None:
    sock.setsockopt(plain.SOL_SOCKET, plain.SO_LINGER, LINGER_0)
    sock.close()


def fill(server) -> None:
    """Writes until the kernel takes no more."""
    with pytest.raises(BlockingIOError):
        while True:
            server._sock.send(bytes(65536))


def over(server, protocol: str = "HTTP/1.1") -> Client:
    return Client({"gunicorn.socket": server, "SERVER_PROTOCOL": protocol})


@pytest.fixture
def watch():
    """Watches; gives the client and the event that is set when it leaves."""
    watching = []

    def watch(server):
        left = Event()
        client = over(server)
        client.watch(left.set)
        watching.append(client)
        return client, left

    yield watch
    for client in watching:
        client.unwatch()


@pytest.mark.parametrize("leave", [lambda sock: sock.close(), reset, lambda sock: sock.shutdown(plain.SHUT_WR)])
def test_a_client_that_leaves_is_seen(pair, watch, leave):
    server, client = pair
    _, left = watch(server)
    assert not left.is_set()
    leave(client)
    assert left.wait(WAIT)


def test_a_client_that_left_before_the_watch_is_seen(pair, watch):
    server, client = pair
    client.close()
    _, left = watch(server)
    assert left.wait(WAIT)


def test_a_leave_is_told_once(pair):
    server, client = pair
    told = []
    over(server).watch(lambda: told.append(1))
    client.close()
    gevent.sleep(0.05)
    assert told == [1]


def test_a_pipelined_request_is_no_leave_and_stays_to_be_read(pair, watch):
    server, client = pair
    watching, left = watch(server)
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    socket.wait_read(server.fileno(), timeout=WAIT)
    gevent.sleep(0.05)
    assert not left.is_set()
    assert watching._watcher is None  # the bytes stay readable: a watch that went on would spin
    assert server.recv(100) == b"GET / HTTP/1.1\r\n\r\n"


def test_unwatch_ends_the_watch_and_may_be_called_again(pair, watch):
    server, client = pair
    watching, left = watch(server)
    watching.unwatch()
    watching.unwatch()
    client.close()
    gevent.sleep(0.05)
    assert not left.is_set()


@pytest.mark.parametrize(
    "environ",
    [{}, {"gunicorn.socket": plain.socket(), "HTTP_VERSION": "2"}, {"gunicorn.socket": plain.socket()}],
)
def test_where_nothing_can_be_watched_nothing_is(environ):
    left = Event()
    client = Client(environ)
    client.watch(left.set)
    assert client._watcher is None
    if "gunicorn.socket" in environ:
        environ["gunicorn.socket"].close()


def test_breaking_off_over_http_1_1_delivers_what_was_sent_and_ends(pair):
    server, client = pair
    server.sendall(b"5\r\nhello\r\n")
    over(server).abort()
    server.close()
    assert client.recv(100) == b"5\r\nhello\r\n"
    assert client.recv(100) == b""


def test_breaking_off_over_http_1_0_delivers_what_was_sent_and_resets(pair):
    server, client = pair
    server.sendall(b"hello")
    over(server, "HTTP/1.0").abort()
    server.close()
    assert client.recv(100) == b"hello"
    with pytest.raises(ConnectionResetError):
        client.recv(100)


def test_a_reset_waits_only_so_long_for_a_client_that_reads_nothing(pair, monkeypatch):
    monkeypatch.setattr("millstream.sockets.client.FLUSH_LIMIT", 0.05)
    server, _client = pair
    fill(server)
    client = over(server, "HTTP/1.0")
    assert client.unsent()
    with gevent.Timeout(WAIT):
        client.abort()


def test_without_a_socket_breaking_off_raises():
    with pytest.raises(Aborted):
        Client({"SERVER_PROTOCOL": "HTTP/1.1"}).abort()
    assert Client({}).unsent() is None


def test_breaking_off_twice_or_after_the_client_has_left_is_no_error(pair):
    server, client = pair
    reset(client)
    breaking = over(server)
    breaking.abort()
    breaking.abort()
    server.close()
    assert breaking.unsent() is None
    breaking.limit_buffer(4096)


def test_cutting_ends_a_write_that_waits(pair):
    server, _client = pair
    client = over(server)
    client.limit_buffer(4096)

    def write():
        with pytest.raises(BrokenPipeError):  # what gunicorn takes for a client that has gone
            server.sendall(bytes(50_000_000))

    writing = gevent.spawn(write)
    while not client.unsent():
        gevent.sleep(0.01)
    client.cut()
    writing.get(timeout=WAIT)


def test_what_a_client_has_not_taken_is_counted(pair):
    server, client = pair
    assert over(server).unsent() == 0
    client.setsockopt(plain.SOL_SOCKET, plain.SO_RCVBUF, 2048)
    fill(server)
    assert over(server).unsent() > 10_000


def test_the_kernel_keeps_little_for_a_client(pair):
    server, _client = pair
    over(server).limit_buffer(16384)
    assert server.getsockopt(plain.SOL_SOCKET, plain.SO_SNDBUF) in (16384, 32768)  # Linux doubles it


if hasattr(plain, "TCP_USER_TIMEOUT"):  # not on macOS

    def test_a_write_to_a_client_that_takes_nothing_ends_by_itself(pair):
        server, _client = pair
        limit_stall(server, 0.5)
        over(server).limit_buffer(4096)
        with gevent.Timeout(4 * WAIT), pytest.raises(OSError):
            server.sendall(bytes(50_000_000))


def test_a_body_that_does_not_come_in_time_ends_the_wait(pair):
    server, _client = pair
    with pytest.raises(BodyTimeout), deadline(0.05):
        server.recv(1)


def test_a_body_that_comes_in_time_is_left_alone(pair):
    server, client = pair
    with deadline(0.2):
        client.sendall(b"x")
        assert server.recv(1) == b"x"
    gevent.sleep(0.3)  # past the limit: it has been taken back


def direct(server, protocol: str = "HTTP/1.1", **environ: str) -> Client:
    return Client({"gunicorn.socket": server, "SERVER_PROTOCOL": protocol, **environ}, direct=True)


def send(client: Client, piece: bytes) -> None:
    client.send_rest(client.offer(client.frame(piece)))


def test_a_piece_sent_past_the_server_is_a_chunk(pair):
    server, client = pair
    send(direct(server), "é".encode() * 8)
    assert client.recv(100) == b"10\r\n" + "é".encode() * 8 + b"\r\n"


def test_a_piece_that_the_client_takes_slowly_arrives_whole(pair):
    server, client = pair
    fill(server)
    piece = bytes(range(256)) * 4000
    sending = gevent.spawn(send, direct(server), piece)
    got = b""
    while not got.endswith(piece + b"\r\n"):
        got += client.recv(1 << 20)
    sending.get(timeout=WAIT)
    assert got.endswith(b"%X\r\n%b\r\n" % (len(piece), piece))


@pytest.mark.parametrize(
    "client",
    [
        lambda server: direct(server, "HTTP/1.0"),  # which has no chunks
        lambda server: direct(server, HTTP_VERSION="2"),
        lambda server: over(server),  # something in between may change the body
        lambda server: Client({}, direct=True),
    ],
)
def test_other_pieces_are_left_to_the_server(pair, client):
    one = client(pair[0])
    assert not one.chunks


def test_a_piece_for_a_client_that_has_reset_is_an_error(pair):
    server, client = pair
    reset(client)
    with pytest.raises(OSError):
        for _ in range(100):
            send(direct(server), b"x")
            gevent.sleep(0.01)


def test_a_piece_goes_out_as_a_chunk_without_waiting(pair):
    server, client = pair
    one = direct(server)
    assert one.offer(one.frame(b"hello")) == b""
    assert client.recv(100) == b"5\r\nhello\r\n"


def test_what_a_client_does_not_take_is_left_for_later(pair):
    server, client = pair
    offering, sent = direct(server), 0
    piece = bytes(100_000)
    while not (rest := offering.offer(offering.frame(piece))):
        sent += 1
    sending = gevent.spawn(offering.send_rest, rest)
    whole = b"186a0\r\n%b\r\n" % piece
    received = bytearray()
    while len(received) < (sent + 1) * len(whole):
        received += client.recv(1 << 20)
    sending.get(timeout=WAIT)
    assert bytes(received).lower() == whole * (sent + 1)
