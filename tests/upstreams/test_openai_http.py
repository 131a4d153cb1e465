"""The OpenAI adapter against a raw socket that says exactly these bytes."""

import gzip
import json
import socket

import pytest

from millstream.errors import MillstreamError, UpstreamError
from millstream.events import Call
from millstream.settings import Secret, SettingError, UpstreamSettings
from millstream.upstreams import answers, openai
from millstream.upstreams.openai import OpenAI
from tests.upstreams.fake import (
    ANSWER,
    CHUNKED,
    CLOSE,
    END,
    HOLD,
    LAST,
    RESET,
    WAIT,
    chunk,
    event,
    head,
    whole,
)

CALL = Call("m", [{"role": "user", "content": "Hi"}], {"temperature": 0.5})


def ask(upstream, call=CALL):
    """The batches; the first is the empty one of the acceptance."""
    accepted, *batches = upstream.stream(call)
    assert accepted == []
    return batches


def text(batches):
    assert batches[-1][-1].type == "done"
    return "".join(event.text for batch in batches for event in batch)


def failure(upstream, call=CALL):
    with pytest.raises(UpstreamError) as caught:
        list(upstream.stream(call))
    return caught.value


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
        "messages": CALL.messages,
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
        list(upstream.stream(Call("m", [{"role": "user", "content": "\ud83d"}])))
    assert (caught.value.code, caught.value.param) == ("bad_field", "messages")


# -- stream_options ------------------------------------------------------------------------------------------------

COMPLAINT = whole("400 Bad Request", b'{"error":{"message":"Unrecognized request argument: stream_options"}}')


def test_a_complaint_of_stream_options_is_heard_once_and_remembered(fake):
    server = fake(COMPLAINT, ANSWER, ANSWER)
    upstream = OpenAI(server.settings())
    assert [text(ask(upstream)), text(ask(upstream))] == ["Hello", "Hello"]
    assert [b"stream_options" in request for request in server.requests] == [True, False, False]


def test_a_second_complaint_is_an_error(fake):
    server = fake(COMPLAINT, COMPLAINT)
    assert failure(OpenAI(server.settings())).code == "upstream_refused"
    assert len(server.requests) == 2


def test_another_400_is_not_asked_again(fake):
    server = fake(whole("400 Bad Request", b'{"error":"bad"}'))
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
    assert [event.text for event in came if event.text][:1] == ["a"] or code == "upstream_protocol"


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
def test_a_connection_is_used_again(fake, tls):
    server = fake(ANSWER, COMPLAINT, [ANSWER[:-5], LAST], ANSWER, tls=tls)
    upstream = OpenAI(server.settings())
    assert [text(ask(upstream)) for _ in range(3)] == ["Hello"] * 3
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


# -- refusals ------------------------------------------------------------------------------------------------------


def said(message, **more):
    return json.dumps({"error": {"message": message, **more}}).encode()


REFUSALS = [
    # status, headers, body → code, paid, retry_after, words of the message
    ("401 Unauthorized", [], said("Incorrect key", code="invalid_api_key"), "upstream_auth", True, None, "api_key"),
    ("403 Forbidden", [], b"<html><h1>Forbidden</h1>", "upstream_auth", True, None, "(HTTP 403). Check"),
    ("429 Slow down", ["Retry-After: 7"], said("Rate limit"), "upstream_refused", False, 7.0, "try again in 7 s"),
    ("429 Slow down", ["retry-after-ms: 1500"], b"", "upstream_refused", False, 1.5, "try again in 2 s"),
    ("429 Slow down", ["Retry-After: soon"], b"", "upstream_refused", False, None, "try again later"),
    ("429 Slow down", ["Retry-After: nan"], b"", "upstream_refused", False, None, "try again later"),
    ("429 Slow down", ["Retry-After: Sun, 06 Nov 1994 08:49:37 GMT"], b"", "upstream_refused", False, 0.0, "in 0 s"),
    ("429 No", [], said("You exceeded", code="insufficient_quota"), "upstream_refused", True, None, "no quota left"),
    ("503 Busy", ["Retry-After: 3"], said("Loading model"), "upstream_refused", False, 3.0, "Loading model"),
    ("400 Bad", [], said("The prompt", code="content_filter"), "content_filter", True, None, "The prompt"),
    ("400 Bad", [], said("context too long", code=400), "upstream_refused", True, None, "context too long"),
    ("400 Bad", [], b'{"error":"plain"}', "upstream_refused", True, None, "(HTTP 400): plain."),
    ("400 Bad", [], b'[{"error":{"message":"in a list"}}]', "upstream_refused", True, None, "in a list"),
    ("422 Bad", [], b'{"detail":[{"msg":"field required"}]}', "upstream_refused", True, None, "field required"),
    ("404 Not Found", [], b'{"message":"no such model"}', "upstream_refused", True, None, "no such model"),
    ("500 Oops", [], b"", "upstream_refused", True, None, "(HTTP 500)."),
    ("502 Bad Gateway", [], b"\xff\xfe plain \x1b[31mtext", "upstream_refused", True, None, "plain [31mtext"),
    ("500 Oops", [], b"[" * 60_000, "upstream_refused", True, None, "[[["),
    ("302 Found", ["Location: https://elsewhere/v1"], b"", "upstream_refused", True, None, "to https://elsewhere/v1"),
    ("308 Moved", [], b"", "upstream_refused", True, None, "redirects"),
    ("204 No Content", [], b"", "upstream_refused", True, None, "(HTTP 204)"),
    ("400 Bad", ["Content-Encoding: gzip"], gzip.compress(b"x" * 99), "upstream_refused", True, None, "(HTTP 400)."),
]


@pytest.mark.parametrize(("status", "headers", "body", "code", "paid", "wait", "words"), REFUSALS)
def test_a_refusal(fake, status, headers, body, code, paid, wait, words):
    server = fake(whole(status, body, *headers))
    error = failure(OpenAI(server.settings()))
    assert (error.code, error.paid, error.retry_after) == (code, paid, wait)
    assert 'upstream "fake"' in error.message
    assert words in error.message
    assert len(error.message) < 450
    assert error.message.isprintable()
    assert len(server.requests) == 1


UNREADABLE = {
    "compressed": (whole("200 OK", b"x", "Content-Encoding: gzip"), "Content-Encoding gzip"),
    "a transfer coding": (head("200 OK", "Transfer-Encoding: gzip, chunked"), "gzip"),
    "two lengths": (head("200 OK", "Content-Length: 1", "Content-Length: 2"), "Content-Length"),
    "a web page": (whole(body=b"<html>").replace(b"text/event-stream", b"text/html; charset=utf-8"), "base_url"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "base_url"),
    "endless headers": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "base_url"),
}


@pytest.mark.parametrize(("reply", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_said_so(fake, reply, words):
    server = fake([reply, HOLD])
    error = failure(OpenAI(server.settings()))
    assert error.code == "upstream_protocol"
    assert words in error.message
    assert server.left.wait(WAIT)


def test_of_a_refusal_without_end_only_the_beginning_is_read(fake, monkeypatch):
    monkeypatch.setattr(openai, "ERROR_BODY", (1000, WAIT))
    server = fake([head("400 Bad", "Transfer-Encoding: chunked") + chunk(b"x" * 5000), HOLD])
    assert failure(OpenAI(server.settings())).code == "upstream_refused"
    assert server.left.wait(WAIT)


def test_a_refusal_that_dribbles_is_waited_for_only_so_long(fake, monkeypatch):
    monkeypatch.setattr(openai, "ERROR_BODY", (65536, 0.1))
    server = fake([head("400 Bad", "Transfer-Encoding: chunked") + chunk(b"slow"), HOLD])
    assert "slow" in failure(OpenAI(server.settings())).message
    assert server.left.wait(WAIT)


# -- the key -------------------------------------------------------------------------------------------------------

KEY = "sk-proj-AbCdEfGhIjKlMnOpQrStUvWxYz-0123456789"

LEAKS = [
    f"Incorrect API key provided: {KEY}.",
    "Incorrect API key provided: sk-proj-********************6789. You can find it",
    "Your api key: ****6789 is invalid",
    f"key {KEY[8:20]} unknown",
    f"key ending in {KEY[-4:]} unknown",
    f"you sent Authorization: Bearer {KEY}",
    f"sk-proj-AbCd...{KEY[-4:]}",
    "x" * 290 + KEY,
]


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("where", ["status", "frame", "gibberish", "location"])
def test_no_part_of_the_key_is_ever_shown(fake, leak, where):
    reply = {
        "status": whole("401 Unauthorized", said(leak)),
        "frame": whole(body=b"data: " + said(leak) + b"\n\n"),
        "gibberish": whole(body=b"data: " + leak.encode() + b"\n\n"),
        "location": whole("302 Found", b"", f"Location: https://elsewhere/?key={leak}"),
    }[where]
    message = failure(OpenAI(fake(reply).settings(KEY))).message
    assert not any(KEY[at : at + 6] in message for at in range(len(KEY) - 5))
    assert KEY[-4:] not in message
    assert "proj" not in message


@pytest.mark.parametrize("key", ["two words", "line\nend", "schlüssel"])
def test_a_key_that_can_be_none_is_refused_at_the_start_and_not_shown(key):
    with pytest.raises(SettingError) as caught:
        OpenAI(UpstreamSettings("x", "openai", base_url="http://127.0.0.1:9", api_key=Secret(key)))
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"base_url": ""}, "base_url"),
        ({"base_url": "wss://x"}, "base_url"),
        ({"extra": {"pace": 1, "ca": 2}}, "ca, pace"),
        ({"extra": {"ca_file": "/nowhere.pem"}}, "/nowhere.pem"),
    ],
)
def test_a_wrong_setting_is_named(values, words):
    with pytest.raises(SettingError, match=words):
        OpenAI(UpstreamSettings("x", "openai", **{"base_url": "http://127.0.0.1:9", **values}))
