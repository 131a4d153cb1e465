"""How the OpenAI adapter takes a no: its code, its words, and no key in them."""

import gzip
import json

import pytest

from millstream.settings import Secret, SettingError, UpstreamSettings
from millstream.upstreams import kind
from millstream.upstreams.openai import OpenAI
from tests.upstreams.fake import HOLD, WAIT, chunk, failure, head, whole


def said(message, **more):
    return json.dumps({"error": {"message": message, **more}}).encode()


GZIPPED = gzip.compress(b"x" * 99, mtime=0)  # the time would be in a test's name
REFUSALS = [
    # status, headers, body → code, paid, retry_after, words of the message
    ("401 Unauthorized", [], said("Incorrect key", code="invalid_api_key"), "upstream_auth", True, None, "api_key"),
    ("403 Forbidden", [], b"<html><h1>Forbidden</h1>", "upstream_auth", True, None, "(HTTP 403). Check"),
    ("429 Slow down", ["Retry-After: 7"], said("Rate limit"), "upstream_limited", False, 7.0, "try again in 7 s"),
    ("429 Slow down", ["retry-after-ms: 1500"], b"", "upstream_limited", False, 1.5, "try again in 2 s"),
    ("429 Slow down", ["Retry-After: soon"], b"", "upstream_limited", False, None, "try again later"),
    ("429 Slow down", ["Retry-After: nan"], b"", "upstream_limited", False, None, "try again later"),
    ("429 Slow down", ["Retry-After: Sun, 06 Nov 1994 08:49:37 GMT"], b"", "upstream_limited", False, 0.0, "in 0 s"),
    ("429 No", [], said("You exceeded", code="insufficient_quota"), "upstream_limited", True, None, "no quota left"),
    ("503 Busy", ["Retry-After: 3"], said("Loading model"), "upstream_refused", False, 3.0, "Loading model"),
    ("400 Bad", [], said("The prompt", code="content_filter"), "content_filter", True, None, "The prompt"),
    ("400 Bad", [], said("context too long", code=400), "bad_request", True, None, "context too long"),
    ("400 Bad", [], b'{"error":"plain"}', "bad_request", True, None, "(HTTP 400): plain."),
    ("400 Bad", [], b'[{"error":{"message":"in a list"}}]', "bad_request", True, None, "in a list"),
    ("422 Bad", [], b'{"detail":[{"msg":"field required"}]}', "bad_request", True, None, "field required"),
    ("404 Not Found", [], b'{"message":"no such model"}', "upstream_refused", True, None, "no such model"),
    ("500 Oops", [], b"", "upstream_refused", True, None, "(HTTP 500)."),
    (
        "500 Oops",
        [],
        said("the request exceeds the available context size"),
        "bad_request",
        True,
        None,
        "Shorten it.",
    ),
    ("502 Bad Gateway", [], b"\xff\xfe plain \x1b[31mtext", "upstream_refused", True, None, "plain [31mtext"),
    ("500 Oops", [], b"[" * 60_000, "upstream_refused", True, None, "[[["),
    ("302 Found", ["Location: https://elsewhere/v1"], b"", "upstream_refused", True, None, "to https://elsewhere/v1"),
    ("308 Moved", [], b"", "upstream_refused", True, None, "redirects"),
    ("204 No Content", [], b"", "upstream_refused", True, None, "(HTTP 204)"),
    ("400 Bad", ["Content-Encoding: gzip"], GZIPPED, "bad_request", True, None, "(HTTP 400)."),
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
    "endless headers": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", "base_url"),
}


@pytest.mark.parametrize(("reply", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_said_so(fake, reply, words):
    server = fake([reply, HOLD])
    error = failure(OpenAI(server.settings()))
    assert error.code == "upstream_protocol"
    assert words in error.message
    assert server.left.wait(WAIT)


def test_of_a_refusal_without_end_only_the_beginning_is_read(fake, monkeypatch):
    monkeypatch.setattr(kind, "ERROR_BODY", (1000, WAIT))
    server = fake([head("400 Bad", "Transfer-Encoding: chunked") + chunk(b"x" * 5000), HOLD])
    assert failure(OpenAI(server.settings())).code == "bad_request"
    assert server.left.wait(WAIT)


def test_a_refusal_that_dribbles_is_waited_for_only_so_long(fake, monkeypatch):
    monkeypatch.setattr(kind, "ERROR_BODY", (65536, 0.1))
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
        ({"extra": {"pace": 1, "ca": 2}}, r"x\.ca is not a setting"),
        ({"extra": {"ca_file": "/nowhere.pem"}}, "/nowhere.pem"),
    ],
)
def test_a_wrong_setting_is_named(values, words):
    with pytest.raises(SettingError, match=words):
        OpenAI(UpstreamSettings("x", "openai", **{"base_url": "http://127.0.0.1:9", **values}))
