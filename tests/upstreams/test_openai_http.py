"""The OpenAI adapter against a raw socket that says exactly these bytes."""

import json
import select
import socket
import time

import pytest

from millstream.errors import MillstreamError, UpstreamError
from millstream.settings import UpstreamSettings
from millstream.sockets import pool
from millstream.upstreams import answers
from millstream.upstreams.http import Client
from millstream.upstreams.openai import OpenAI
from tests.calling import calling
from tests.upstreams.fake import (
    ANSWER,
    CALL,
    CHUNKED,
    CLOSE,
    END,
    HOLD,
    LAST,
    RESET,
    SAID,
    WAIT,
    chunk,
    event,
    failure,
    head,
    whole,
)


def ask(upstream, call=CALL):
    """The batches; the first is the empty one of the acceptance."""
    accepted, *batches = upstream.stream(call)
    assert accepted == []
    return batches


def text(batches):
    assert batches[-1][-1].type == "done"
    return "".join(event.text for batch in batches for event in batch)


# -- what is sent --------------------------------------------------------------------------------------------------


def test_the_request(fake):
    server = fake(ANSWER)
    ask(OpenAI(server.settings("secret-key-1")))
    top, _, body = server.requests[0].partition(b"\r\n\r\n")
    line, *headers = top.decode().split("\r\n")
    assert line == "POST /v1/chat/completions HTTP/1.1"
    headers = dict(header.lower().split(": ", 1) for header in headers)
    assert headers["authorization"] == "bearer secret-key-1"
    assert headers["accept-encoding"] == "identity"
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {
        "model": "m",
        "messages": SAID,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_without_a_key_no_authorization_is_sent(fake):
    server = fake(ANSWER)
    ask(OpenAI(server.settings()))
    assert b"authorization" not in server.requests[0].lower()


def test_the_environments_proxy_and_netrc_are_not_used(fake, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    server = fake(ANSWER)
    assert text(ask(OpenAI(server.settings()))) == "Hello"
    assert b"authorization" not in server.requests[0].lower()


def test_half_a_character_in_the_messages_is_refused():
    upstream = OpenAI(UpstreamSettings("x", "openai", base_url="http://127.0.0.1:9"))
    with pytest.raises(MillstreamError) as caught:
        list(upstream.stream(calling("m", [{"role": "user", "content": "\ud83d"}])))
    assert (caught.value.code, caught.value.param) == ("bad_field", "messages")


COMPLAINT = whole("400 Bad Request", b'{"error":"bad"}')


def test_another_400_is_not_asked_again(fake):
    server = fake(COMPLAINT)
    failure(OpenAI(server.settings()))
    assert len(server.requests) == 1


# -- bodies --------------------------------------------------------------------------------------------------------

STREAM = event("Hel") + event("lo") + END

UNSTREAMED = whole(body=b'{"choices":[{"message":{"content":"Hello"}}]}')

BODIES = {
    "chunked": [ANSWER],
    "chunked, a byte at a time": [ANSWER[at : at + 1] for at in range(len(ANSWER))],
    "one chunk": [CHUNKED + chunk(STREAM) + LAST],
    "chunks with extensions and trailers": [
        CHUNKED + b"%X;a=b\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(STREAM), STREAM)
    ],
    "a length": [head("200 OK", f"Content-Length: {len(STREAM)}"), STREAM],
    "until close": [head("200 OK", "Connection: close") + event("Hel"), event("lo") + END, CLOSE],
    "HTTP/1.0": [head(version="1.0"), event("Hel"), event("lo") + END, CLOSE],
    "HTTP/1.0, reset behind the end": [head(version="1.0") + STREAM, RESET],
    "no content type": [ANSWER.replace(b"Content-Type: text/event-stream\r\n", b"")],
    "a stream called JSON": [ANSWER.replace(b"text/event-stream", b"application/json")],
    "an unstreamed answer called a stream": [UNSTREAMED],
    "100 Continue first": [b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER],
    "the answer unstreamed": [UNSTREAMED.replace(b"text/event-stream", b"application/json")],
    "nothing behind the finish": [CHUNKED + chunk(event("Hello") + END.split(b"\n\n")[0] + b"\n\n"), CLOSE],
}


@pytest.mark.parametrize("parts", BODIES.values(), ids=BODIES)
def test_an_answer_in_every_framing(fake, parts):
    assert text(ask(OpenAI(fake(parts).settings()))) == "Hello"


CUTS = {
    "until close": ([head("200 OK", "Connection: close") + event("a"), CLOSE], "upstream_broke"),
    "HTTP/1.0": ([head(version="1.0") + event("a"), CLOSE], "upstream_broke"),
    "HTTP/1.0, reset": ([head(version="1.0") + event("a"), RESET], "upstream_broke"),
    "in a chunk": ([CHUNKED + chunk(event("a")) + chunk(event("b"))[:-9], CLOSE], "upstream_broke"),
    "between chunks": ([CHUNKED + chunk(event("a")), CLOSE], "upstream_broke"),
    "a whole body without a finish": ([CHUNKED + chunk(event("a")) + LAST], "upstream_broke"),
    "less than its length": ([head("200 OK", "Content-Length: 9999") + event("a"), CLOSE], "upstream_broke"),
    "bad chunk size": ([CHUNKED + chunk(event("a")) + b"zz\r\n"], "upstream_protocol"),
}


@pytest.mark.parametrize(("parts", "code"), CUTS.values(), ids=CUTS)
def test_a_cut_answer_is_an_error_after_what_came(fake, parts, code):
    came = []
    with pytest.raises(UpstreamError) as caught:
        for batch in OpenAI(fake(parts).settings()).stream(CALL):
            came += batch
    assert caught.value.code == code
    assert [event.text for event in came if event.text][:1] == ["a"] * (code == "upstream_broke")


def test_a_body_of_no_bytes_has_failed_at_once(fake):
    server = fake([head("200 OK", "Content-Length: 0"), HOLD])
    began = time.monotonic()
    assert failure(OpenAI(server.settings())).code == "upstream_broke"
    assert time.monotonic() - began < 15  # what waits for more waits for 30 s


def test_batches_come_as_they_are_sent(fake):
    server = fake([CHUNKED + chunk(event("first")), HOLD])
    stream = OpenAI(server.settings()).stream(CALL)
    assert next(stream) == []
    assert [event.text for event in next(stream)] == ["first"]
    stream.close()
    assert server.left.wait(WAIT)


def test_a_whole_answer_is_not_failed_by_a_server_that_does_not_end(fake, monkeypatch):
    monkeypatch.setattr(answers, "REST", 0.05)
    server = fake([CHUNKED + chunk(event("Hello") + END.split(b"\n\n")[0] + b"\n\n"), HOLD])
    assert text(ask(OpenAI(server.settings()))) == "Hello"
    assert server.left.wait(WAIT)


# -- connections ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_is_used_again(fake, tls, monkeypatch):
    monkeypatch.setattr(pool, "SETTLE", 0.0)
    server = fake(ANSWER, COMPLAINT, [ANSWER[:-5], LAST], ANSWER, tls=tls)
    upstream = OpenAI(server.settings())
    for asks in (lambda: text(ask(upstream)), lambda: failure(upstream), *[lambda: text(ask(upstream))] * 2):
        asks()
        assert server.over.acquire(timeout=WAIT)
    assert (server.connections, len(server.requests)) == (1, 4)


NOT_REUSED = {
    "it says close": ANSWER.replace(b"\r\n", b"\r\nConnection: close\r\n", 1),
    "it closes and did not say so": [ANSWER, CLOSE],
    "bytes behind the end": ANSWER + b"HTTP/1.1 200 OK\r\n\r\n",
    "the end does not come": [ANSWER[:-5], HOLD],
}


@pytest.mark.parametrize("first", NOT_REUSED.values(), ids=NOT_REUSED)
def test_a_connection_is_not_used_again(fake, first):
    server = fake(first, ANSWER)
    upstream = OpenAI(server.settings())
    assert [text(ask(upstream)), text(ask(upstream))] == ["Hello", "Hello"]
    assert server.connections == 2


def test_a_connection_that_was_idle_for_long_is_not_used_again(fake, monkeypatch):
    monkeypatch.setattr(pool, "SETTLE", 0.0)
    monkeypatch.setattr(pool, "IDLE", 0.0)  # it answers the first question on each connection, and then nothing
    server = fake(ANSWER, ANSWER)
    upstream = OpenAI(server.settings())
    assert [text(ask(upstream)), text(ask(upstream))] == ["Hello", "Hello"]
    assert server.connections == 2


@pytest.mark.parametrize("tls", [False, True])
def test_a_question_is_asked_again_only_where_it_was_not_taken(fake, tls, monkeypatch):
    """A kept connection is closed while the question is on its way: the pool's look came a moment too early."""
    monkeypatch.setattr(pool, "SETTLE", 0.0)
    monkeypatch.setattr(pool, "_is_quiet", lambda sock: bool(select.select([sock], [], [], WAIT)[0]))
    server = fake([ANSWER, CLOSE], ANSWER, tls=tls)
    upstream = OpenAI(server.settings())
    assert [text(ask(upstream)), text(ask(upstream))] == ["Hello", "Hello"]
    assert (server.connections, len(server.requests)) == (2, 2)


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_a_question_that_was_taken_is_not_asked_again(fake, end, monkeypatch):
    monkeypatch.setattr(pool, "SETTLE", 0.0)
    server = fake(ANSWER, [end], ANSWER)
    upstream = OpenAI(server.settings())
    assert text(ask(upstream)) == "Hello"
    assert server.over.acquire(timeout=WAIT)
    assert failure(upstream).code == "upstream_broke"
    assert (server.connections, len(server.requests)) == (1, 2)


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"


def test_interim_responses_leave_each_answer_to_its_own_caller(fake, monkeypatch):
    monkeypatch.setattr(pool, "SETTLE", 0.0)
    answers = [
        [INTERIM, INTERIM[:20], INTERIM[20:] + CHUNKED + chunk(event(name)), chunk(END) + LAST] for name in "ab"
    ]
    server = fake(*answers)
    upstream = OpenAI(server.settings())
    for name in "ab":
        assert text(ask(upstream, calling("m", [], caller=f"key-{name}"))) == name
        assert server.over.acquire(timeout=WAIT)
    assert server.connections == 1


def test_connections_are_kept_alive(fake):
    server = fake([CHUNKED, HOLD])
    body = Client(server.settings(), {}).post("/x", b"{}").body
    assert body._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    body.close()


def test_a_stream_closed_early_closes_its_connection_and_the_next_one_is_new(fake):
    server = fake([CHUNKED, HOLD], ANSWER)
    upstream = OpenAI(server.settings())
    stream = upstream.stream(CALL)
    next(stream)
    stream.close()
    assert server.left.wait(WAIT)
    assert text(ask(upstream)) == "Hello"


def test_tls_large_records_come_whole(fake):
    parts = [chunk(event("x" * 60_000)) + chunk(event("y")) for _ in range(5)]
    server = fake(CHUNKED + b"".join(parts) + chunk(END) + LAST, tls=True)
    assert text(ask(OpenAI(server.settings()))) == ("x" * 60_000 + "y") * 5


def test_a_certificate_nobody_knows_is_refused(fake):
    error = failure(OpenAI(fake(tls=True).settings(extra={})))
    assert (error.code, error.paid) == ("upstream_refused", False)
    assert "certificate" in error.message


def test_a_refused_connection_was_not_paid():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    error = failure(OpenAI(UpstreamSettings("x", "openai", base_url=f"http://127.0.0.1:{port}")))
    assert (error.code, error.paid, error.status) == ("upstream_refused", False, 502)


def test_a_connection_that_does_not_come_about_times_out():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        address = f"http://127.0.0.1:{full.getsockname()[1]}"
        error = failure(OpenAI(UpstreamSettings("x", "openai", base_url=address, connect=0.2)))
        for one in waiting:
            one.close()
    assert (error.code, error.paid, error.status) == ("connect_timeout", False, 504)


def test_a_connection_closed_before_the_head_may_have_been_paid(fake):
    error = failure(OpenAI(fake([CLOSE]).settings()))
    assert (error.code, error.paid) == ("upstream_broke", True)
