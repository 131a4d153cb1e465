"""The Spark adapter against a server that checks signature and question as the real one does."""

import socket
from base64 import b64decode
from dataclasses import replace
from urllib.parse import parse_qs, quote, unquote

import pytest

from millstream.dialects.spark.request import MODELS
from millstream.errors import RequestError, UpstreamError
from millstream.settings import Secret, SettingError, UpstreamSettings
from millstream.upstreams import spark
from millstream.upstreams.spark import Spark
from tests.calling import calling
from tests.upstreams.proxy import Proxy
from tests.upstreams.spark_server import (
    API_KEY,
    API_SECRET,
    APP_ID,
    BYE,
    CLOSE,
    HOLD,
    RESET,
    WAIT,
    SparkServer,
    answer,
    error,
    fragments,
    frame,
    wire,
)

QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]


@pytest.fixture
def server():
    """Makes servers, and closes them."""
    made = []

    def make(*replies, **options):
        made.append(SparkServer(*replies or [answer("Hel", "lo")], **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def call(model="4.0Ultra", **options):
    return calling(model, QUESTION, options, "me")


def ask(one, model="4.0Ultra", **options):
    """The events; the first batch is the empty one of the acceptance."""
    accepted, *batches = Spark(one.settings((model,))).stream(call(model, **options))
    assert accepted == []
    assert all(batches)
    return [event for batch in batches for event in batch]


def text(events):
    assert events[-1].type == "done"
    return "".join(event.text for event in events)


def failure(one, **settings):
    with pytest.raises(UpstreamError) as caught:
        list(Spark(one.settings(**settings)).stream(call()))
    return caught.value


# -- what is asked -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_asked_as_it_wants(server, model):
    one = server()
    assert text(ask(one, model, temperature=2, max_tokens=10**6)) == "Hello"
    (question,) = one.questions
    assert question["header"] == {"app_id": APP_ID, "uid": "me"}
    assert one.refused == []


def test_the_end_says_what_is_known(server):
    end = ask(server())[-1].end
    assert (end.model, end.upstream, end.finish_reason) == ("4.0Ultra", "spark", "stop")
    assert (end.usage.input, end.usage.output, end.usage.source) == (5, 9, "upstream")


def test_over_tls(server):
    assert text(ask(server(answer("x" * 100_000, *"abc"), tls=True))) == "x" * 100_000 + "abc"


@pytest.mark.parametrize("wrong", ["unknown", "spark-x1", "4.0ultra", ""])
def test_an_unknown_model_is_not_asked_for(server, wrong):
    one = server()
    with pytest.raises(RequestError, match=r"4\.0Ultra") as caught:
        list(Spark(one.settings()).stream(call(wrong)))
    assert (caught.value.code, caught.value.status, one.questions) == ("model_not_found", 404, [])


def test_what_spark_has_not_is_refused_before_anything_is_sent(server):
    one = server()
    with pytest.raises(RequestError) as caught:
        list(Spark(one.settings()).stream(call(stop=["x"])))
    assert (caught.value.param, one.asked.is_set()) == ("stop", False)


# -- what comes ----------------------------------------------------------------------------------------------------

PARTS = ["星火 🙂", "é", "\u2028x"]
FRAMES = answer(*PARTS)
WIRES = {
    "messages": FRAMES,
    "all at once": [b"".join(map(wire, FRAMES))],
    "a byte at a time": [bytes([byte]) for byte in b"".join(map(wire, FRAMES))],
    "fragments of a byte": [fragments(one, ping=True) for one in FRAMES],
    "binary": [wire(one, 2) for one in FRAMES],
    "closed by a frame": [*FRAMES, BYE],
    "closed with no word": [*FRAMES, CLOSE],
    "reset behind the end": [*FRAMES, RESET],
    "left open": [*FRAMES, HOLD],
}


@pytest.mark.parametrize("reply", WIRES.values(), ids=WIRES)
def test_an_answer_in_every_shape(server, reply):
    one = server(reply)
    assert text(ask(one)) == "".join(PARTS)


def test_what_came_at_once_is_one_batch(server):
    stream = Spark(server([b"".join(map(wire, FRAMES[:3])), HOLD]).settings()).stream(call())
    assert next(stream) == []
    assert [event.text for event in next(stream)] == PARTS
    stream.close()


def test_batches_come_as_they_are_sent(server):
    one = server([frame("first", 0), HOLD])
    stream = Spark(one.settings()).stream(call())
    assert next(stream) == []
    assert [event.text for event in next(stream)] == ["first"]
    stream.close()
    assert one.left.wait(WAIT)


def test_the_connection_is_closed_at_the_end(server):
    one = server([*FRAMES, HOLD])
    ask(one)
    assert one.left.wait(WAIT)


def test_it_has_not_accepted_before_the_first_frame(server):
    """So that a refusal in the first frame has a status of its own."""
    with pytest.raises(UpstreamError) as caught:
        next(Spark(server([error(10013)]).settings()).stream(call()))
    assert (caught.value.code, caught.value.status) == ("content_filter", 400)


CUTS = {
    "before the first frame": [CLOSE],
    "between frames": [frame("a", 0), CLOSE],
    "by a close frame": [frame("a", 0), BYE],
    "inside a frame": [frame("a", 0), wire(frame("b"))[:-5], CLOSE],
    "reset": [frame("a", 0), RESET],
}


@pytest.mark.parametrize("reply", CUTS.values(), ids=CUTS)
def test_an_end_without_the_last_frame_is_an_error(server, reply):
    broke = failure(server(reply))
    assert (broke.code, broke.paid) == ("upstream_broke", True)


def test_what_came_before_an_error_is_given(server):
    came = []
    with pytest.raises(UpstreamError) as caught:
        for batch in Spark(server([wire(frame("a", 0)) + wire(error(10014))]).settings()).stream(call()):
            came += batch
    assert [event.text for event in came] == ["a"]
    assert (caught.value.code, caught.value.type) == ("content_withdrawn", "server_error")


def test_a_sensitive_answer_keeps_its_text(server):
    events = ask(server([frame("all", 0), error(10019)]))
    assert (text(events), events[-1].end.finish_reason) == ("all", "content_filter")


def test_what_is_no_websocket_frame_is_an_error(server):
    assert failure(server([wire(b"a", 3)])).code == "upstream_protocol"


# -- handshakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("skew", "word"), [(400, "behind"), (-400, "ahead")])
def test_a_wrong_clock_is_told_by_how_much(server, skew, word):
    wrong = failure(server(skew=skew))
    assert (wrong.code, wrong.status) == ("upstream_auth", 502)
    assert any(f"this machine's clock is {off} s {word} (HTTP 403" in wrong.message for off in range(370, 431))
    assert wrong.message.endswith("Set it; 300 s are tolerated.")


@pytest.mark.parametrize("skew", [280, -260])
def test_a_clock_that_is_off_a_little_is_tolerated(server, skew):
    assert text(ask(server(skew=skew))) == "Hello"


WRONG_KEYS = {
    "api_key": ({"api_key": Secret("f" * 32)}, "HMAC signature cannot be verified", "Check the api_key"),
    "api_secret": (
        {"extra": {"api_secret": Secret("anothersecret")}},
        "HMAC signature does not match",
        "Check the api_secret",
    ),
}


@pytest.mark.parametrize(("settings", "said", "advice"), WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_a_wrong_key_is_named(server, settings, said, advice):
    one = server()
    wrong = failure(one, **settings)
    assert (wrong.code, wrong.elsewhere, wrong.paid) == ("upstream_auth", True, True)
    assert f"(HTTP 401: {said}). {advice}" in wrong.message
    assert one.refused == [said]


def test_a_wrong_app_id_is_refused(server):
    wrong = failure(server(), extra={"app_id": "aaaaaaaa"})
    assert (wrong.code, wrong.elsewhere) == ("upstream_refused", True)
    assert "11200" in wrong.message


def said(status, body=b'{"message":"x"}', *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return ["\r\n".join(lines).encode() + body]


BAD_ADDRESS = b'{"message":"Your IP address is not allowed"}'
HANDSHAKES = {
    "address": (said("403 No", BAD_ADDRESS), "upstream_auth", True, "list of addresses"),
    "unauthorized": (said("401 No", b'{"message":"Unauthorized"}'), "upstream_auth", True, "Check the api_key"),
    "403 without words": (said("403 No", b""), "upstream_auth", True, "console"),
    "a date nobody knows": (said("403 No", b'{"message":"a valid date"}'), "upstream_auth", True, "clock is wrong"),
    "a date that was right": (
        said("403 No", b'{"message":"a valid date"}', "Date: {now}"), "upstream_auth", True, "base_url"),
    "404": (said("404 No"), "upstream_refused", True, "base_url"),
    "redirect": (said("302 Found", b"", "Location: wss://elsewhere/"), "upstream_refused", True, "redirects to"),
    "429": (said("429 No", b"", "Retry-After: 7"), "upstream_limited", False, "in 7 s"),
    "502": (said("502 Bad Gateway", b"<html>"), "upstream_refused", True, "HTTP 502"),
    "503": (said("503 No"), "upstream_refused", False, "later"),
    "200": (said("200 OK", b"hello"), "upstream_refused", True, "HTTP 200"),
    "another protocol": ([b"SSH-2.0-OpenSSH\r\n\r\n"], "upstream_protocol", False, "WebSocket"),
    "closed": ([CLOSE], "upstream_broke", False, "closed"),
    "reset": ([RESET], "upstream_broke", False, "closed"),
}  # fmt: skip


@pytest.mark.parametrize(("reply", "code", "paid", "words"), HANDSHAKES.values(), ids=HANDSHAKES)
def test_a_refused_handshake(server, reply, code, paid, words):
    now = spark.formatdate(usegmt=True).encode()
    reply = [part.replace(b"{now}", now) if isinstance(part, bytes) else part for part in reply]
    refused = failure(server(handshake=reply))
    assert (refused.code, refused.paid) == (code, paid)
    assert words in refused.message


@pytest.mark.parametrize("status", ["401 No", "403 No", "404 No", "500 No"])
def test_no_error_shows_a_secret(server, status):
    """A gateway that quotes all that it was sent, decoded and not."""
    lines = []

    def quoted(line):
        lines.append(line)
        return said(status, f"{APP_ID} {line.split('?')[1]} {API_SECRET} {unquote(line)} {API_KEY}".encode())

    shown = failure(server(handshake=quoted)).message
    signed = parse_qs(lines[0].split("?")[1])["authorization"][0]
    for secret in (signed, quote(signed), b64decode(signed).decode()[-40:], API_KEY, API_SECRET, APP_ID):
        assert not any(secret[at : at + 8] in shown for at in range(len(secret) - 7))


def test_what_is_sent_back_is_hidden_too(server):
    one = server(lambda question: [error(10005, f"{question['header']['app_id']} {API_SECRET}")])
    assert "[key] [key]" in failure(one).message


# -- connections ---------------------------------------------------------------------------------------------------


def test_a_refused_connection_was_not_paid(server):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    refused = failure(server(), base_url=f"ws://127.0.0.1:{port}")
    assert (refused.code, refused.paid, refused.status) == ("upstream_refused", False, 502)


def test_a_name_nobody_has(server):
    assert "name was not found" in failure(server(), base_url="ws://nowhere.invalid").message


def test_a_certificate_nobody_knows_is_refused(server):
    one = server(tls=True)
    refused = failure(one, extra={"ca_file": ""})
    assert (refused.code, refused.paid) == ("upstream_refused", False)
    assert "certificate" in refused.message


LATE = {
    "TLS": {"tls": True, "mute": True},
    "the upgrade": {"handshake": [HOLD]},
    "half of the upgrade": {"handshake": [b"HTTP/1.1 101 Swi", HOLD]},
}


@pytest.mark.parametrize("options", LATE.values(), ids=LATE)
def test_the_limit_for_connecting_holds_until_the_upgrade(server, options):
    one = server(**options)
    late = failure(one, connect=0.2)
    assert (late.code, late.paid, late.status) == ("connect_timeout", False, 504)
    assert one.left.wait(WAIT)


def test_behind_the_upgrade_it_holds_no_more(server):
    one = server(lambda question: late_answer())
    batches = Spark(one.settings(connect=1)).stream(call())
    assert text([event for batch in batches for event in batch]) == "Hello"


def late_answer():
    spark.time.sleep(1.3)
    return answer("Hel", "lo")


# -- settings ------------------------------------------------------------------------------------------------------

GOOD = {"app_id": APP_ID, "api_secret": Secret(API_SECRET)}


def make(*models, key=API_KEY, base_url="", **extra):
    given = {name: value for name, value in {**GOOD, **extra}.items() if value is not None}
    return Spark(UpstreamSettings("s", "spark", models or ("lite",), base_url, Secret(key), extra=given))


def test_the_real_one_is_the_default():
    assert make()._host == "spark-api.xf-yun.com"


def test_the_models_are_those_of_the_settings():
    assert make("lite", "4.0Ultra").models == ("lite", "4.0Ultra")


SETTINGS = {
    "no api_key": ({"key": ""}, "needs its api_key"),
    "no api_secret": ({"api_secret": None}, "needs its api_secret"),
    "no app_id": ({"app_id": None}, "needs its app_id"),
    "a number": ({"app_id": 12345678}, "needs its app_id, as text"),
    "a quote in a key": ({"key": 'a"b'}, "needs its api_key"),
    "another setting": ({"pace": 3}, "pace is not a setting of the kind spark"),
    "HTTP": ({"base_url": "https://spark-api.xf-yun.com"}, "base_url"),
    "a path": ({"base_url": "wss://spark-api.xf-yun.com/v4.0/chat"}, "the path comes from the model"),
    "a file that is none": ({"ca_file": "/nowhere.pem"}, "ca_file"),
}


@pytest.mark.parametrize(("wrong", "words"), SETTINGS.values(), ids=SETTINGS)
def test_a_wrong_setting_is_named(wrong, words):
    with pytest.raises(SettingError, match=words) as caught:
        make(**wrong)
    assert API_SECRET not in str(caught.value)


def test_a_wrong_model_is_named():
    with pytest.raises(SettingError, match=r"'general'; it has to be of lite, .*4\.0Ultra"):
        make("general")


@pytest.mark.parametrize("password", ["", "s3cret"])
def test_an_answer_through_a_proxy(server, password):
    one, proxy = server(), Proxy(password)
    try:
        settings = one.settings(("4.0Ultra",))
        settings = replace(settings, extra={**settings.extra, "proxy": Secret(proxy.address)})
        _, *batches = Spark(settings).stream(call())
        assert "".join(event.text for batch in batches for event in batch) == "Hello"
        assert proxy.asked[0].startswith("CONNECT 127.0.0.1:")
    finally:
        proxy.close()


def test_a_proxy_that_wants_a_password_is_named_and_the_password_is_not(server):
    one, proxy = server(), Proxy("s3cret")
    try:
        settings = one.settings(("4.0Ultra",))
        wrong = Secret(proxy.address.replace("s3cret", "wr0ng"))
        settings = replace(settings, extra={**settings.extra, "proxy": wrong})
        with pytest.raises(UpstreamError) as caught:
            next(Spark(settings).stream(call()))
        assert (caught.value.code, caught.value.paid) == ("upstream_refused", False)
        assert "proxy answered '407" in caught.value.message
        assert "wr0ng" not in caught.value.message
    finally:
        proxy.close()
