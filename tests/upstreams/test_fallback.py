"""Who is asked again, who is asked instead, and who is not, because it might be paid twice."""

import logging
import time
from types import SimpleNamespace

import pytest

from millstream.errors import MillstreamError, RequestError, UpstreamError
from millstream.events import End, Event
from millstream.settings import Secret, Settings, UpstreamSettings
from millstream.upstreams import Blocking, Deadlines, fallback
from millstream.upstreams.fallback import Chain, Member
from millstream.upstreams.router import Router
from tests.calling import calling
from tests.upstreams.fake import ANSWER, CALL, CHUNKED, CLOSE, HOLD, SAID, WAIT, chunk, event, whole


class Scripted:
    """Each question takes the next script: batches, of which an error is raised."""

    def __init__(self, name, *scripts, **limits):
        self.name = name
        self.deadlines = Deadlines(**limits)
        self.scripts = list(scripts)
        self.models = []  # that it was asked for
        self.closed = 0

    def ask(self, call):
        self.models.append(call.model)
        batches = self._answer(self.scripts.pop(0))
        assert next(batches) == []
        return Blocking(batches, batches.close)

    def _answer(self, script):
        try:
            for batch in script:
                if isinstance(batch, Exception):
                    raise batch
                yield batch
        finally:
            self.closed += 1


def refused(code="upstream_refused", **facts):
    return [UpstreamError(code, f"{code}.", **facts)]


def answer(name):
    return [[], [Event("message", "Hi")], [Event("done", end=End("m-1", name, "stop"))]]


BUSY = {"paid": False}
GOOD = answer("any")
TOKEN = [Event("message", "a")]


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """The waits between tries: none is really waited."""
    found = []
    monkeypatch.setattr(fallback, "time", SimpleNamespace(sleep=found.append, monotonic=time.monotonic))
    return found


def ask(*members):
    return [event for batch in Chain(members).stream(CALL) for event in batch]


# -- the same one again ----------------------------------------------------------------------------------------


def test_what_was_told_behind_the_last_try_is_not_asked_again():
    upstream = Scripted("a", refused(**BUSY), refused(**BUSY), GOOD)
    chain = Chain([Member(upstream, retries=1)])
    with pytest.raises(UpstreamError) as caught:
        chain.ask(CALL)
    assert chain.again(caught.value, heard=False) is caught.value
    assert len(upstream.models) == 2


def test_what_was_not_paid_is_asked_again():
    upstream = Scripted("a", refused(**BUSY), refused(**BUSY), GOOD)
    assert ask(Member(upstream, retries=2))[-1].type == "done"
    assert (len(upstream.models), upstream.closed) == (3, 3)


NOT_AGAIN = {
    "it may have been paid": refused(),
    "broke": refused("upstream_broke"),
    "broke before the first token": [[], *refused("upstream_broke")],
    "broke after a token": [[], TOKEN, *refused("upstream_broke")],
    "refused after a token": [[], TOKEN, *refused(**BUSY)],
    "wrong key": refused("upstream_auth"),
    "no quota": refused(elsewhere=True),
    "it took its time already": refused("connect_timeout", **BUSY),
    "more patience than there is": refused(retry_after=3600.0, **BUSY),
    "the question is wrong": [RequestError("bad_field", "No tools here.", "tools")],
}


@pytest.mark.parametrize("script", NOT_AGAIN.values(), ids=NOT_AGAIN)
def test_what_may_be_paid_or_is_of_no_use_is_not_asked_again(script):
    upstream = Scripted("a", script, GOOD)
    with pytest.raises(MillstreamError) as caught:
        ask(Member(upstream, retries=2))
    assert caught.value is script[-1]
    assert len(upstream.models) == 1


def test_an_error_behind_the_acceptance_that_was_not_paid_is_asked_again():
    """As iFlytek's "busy" in the first frame."""
    upstream = Scripted("a", [[], *refused(**BUSY)], GOOD)
    assert ask(Member(upstream, retries=1))[-1].type == "done"


def test_tries_are_counted():
    upstream = Scripted("a", *[refused(**BUSY)] * 9)
    with pytest.raises(UpstreamError):
        ask(Member(upstream, retries=2))
    assert len(upstream.models) == 3


def test_waits_grow_and_are_never_shorter_than_told(waits):
    scripts = [refused(**BUSY), refused(**BUSY), refused(retry_after=4.0, **BUSY), refused(retry_after=0.0, **BUSY)]
    ask(Member(Scripted("a", *scripts, GOOD), retries=4))
    assert 0.1 < waits[0] < 0.3 < waits[1] < 0.6
    assert 4.0 <= waits[2] <= 5.0
    assert waits[3] == 0.0


# -- another one instead ---------------------------------------------------------------------------------------

ELSEWHERE = {
    "busy": refused(**BUSY),
    "busy for long": refused(retry_after=3600.0, **BUSY),
    "no connection in time": refused("connect_timeout", **BUSY),
    "wrong key": refused("upstream_auth"),
    "no quota, unknown model": refused(elsewhere=True),
}


@pytest.mark.parametrize("script", ELSEWHERE.values(), ids=ELSEWHERE)
def test_the_next_one_is_asked_for_its_own_model_and_the_log_says_so(script, caplog):
    first, second = Scripted("a", script), Scripted("b", answer("b"))
    with caplog.at_level(logging.WARNING, "millstream"):
        events = ask(Member(first), Member(second, model="other"))
    assert events[-1].end.upstream == "b"
    assert (first.models, second.models) == (["m"], ["other"])
    assert script[0].message in caplog.text
    assert "b instead" in caplog.text


@pytest.mark.parametrize(
    "name", ["it may have been paid", "broke", "broke before the first token", "broke after a token"]
)
def test_the_next_one_is_not_asked_where_it_may_be_paid_twice(name):
    first, second = Scripted("a", NOT_AGAIN[name]), Scripted("b", GOOD)
    with pytest.raises(UpstreamError) as caught:
        ask(Member(first), Member(second))
    assert caught.value is NOT_AGAIN[name][-1]
    assert second.models == []


def test_they_are_asked_in_order_each_with_its_own_retries():
    first, second, third = Scripted("a", refused(**BUSY)), Scripted("b", *[refused(**BUSY)] * 2), Scripted("c", GOOD)
    ask(Member(first), Member(second, retries=1), Member(third))
    assert [len(one.models) for one in (first, second, third)] == [1, 2, 1]


def test_a_long_wait_is_not_for_who_has_another_one(waits):
    first = Scripted("a", refused(retry_after=5.0, **BUSY), GOOD)
    assert ask(Member(first, retries=2), Member(Scripted("b", answer("b"))))[-1].end.upstream == "b"
    assert waits == []


@pytest.mark.parametrize("last", [refused("upstream_auth"), [RequestError("bad_field", "No tools.", "tools")]])
def test_if_all_refuse_the_one_that_was_asked_for_is_heard(last):
    script = refused(retry_after=30.0, **BUSY)
    chain = Chain([Member(Scripted("a", script)), Member(Scripted("b", last))])
    with pytest.raises(UpstreamError) as caught:
        list(chain.stream(CALL))
    assert (caught.value, chain.name) == (script[0], "a")
    assert caught.value.headers == {"Retry-After": "30"}


def test_name_model_and_limits_are_those_of_the_one_that_is_asked(monkeypatch):
    clock = iter([100.0, 104.0])
    monkeypatch.setattr(fallback, "time", SimpleNamespace(monotonic=lambda: next(clock)))  # its own, no thread's
    second = Scripted("b", [[], TOKEN], first_token=3.0, silence=2.0, total=9.0)
    chain = Chain([Member(Scripted("a", refused(**BUSY), first_token=50.0)), Member(second, model="other")])
    assert (chain.name, chain.model, chain.deadlines.first_token) == ("a", "", 50.0)
    assert next(chain.stream(CALL)) == []
    assert (chain.name, chain.model) == ("b", "other")
    assert chain.deadlines == Deadlines(5.0, 3.0 + 4.0, 2.0, 9.0 + 4.0)


def test_who_leaves_closes_the_one_that_is_asked():
    upstream = Scripted("a", refused(**BUSY), GOOD)
    stream = Chain([Member(upstream, retries=1)]).stream(CALL)
    next(stream)
    stream.close()
    assert upstream.closed == 2


# -- by the settings, over HTTP --------------------------------------------------------------------------------


def table(name, server, *fallbacks, **values):
    address = getattr(server, "address", server)
    models = (f"model-{name}",)
    return UpstreamSettings(name, "openai", models, address, Secret(), fallbacks, connect=WAIT, **values)


def route(*tables, model="model-a"):
    upstream = Router(Settings(upstreams=tables)).find(model)
    return [event for batch in upstream.stream(calling(model, SAID)) for event in batch]


LIMITED = whole("429 Too Many Requests", b'{"error":{"message":"Slow down"}}', "retry-after-ms: 1500")
QUOTA = whole("429 Too Many Requests", b'{"error":{"message":"Pay","code":"insufficient_quota"}}')
AWAY = whole("503 Service Unavailable", b"")


@pytest.mark.parametrize("refusal", [LIMITED, AWAY])
def test_a_refusal_over_http_is_asked_again(fake, refusal, waits):
    server = fake(refusal, ANSWER)
    assert route(table("a", server))[-1].end.upstream == "a"
    assert len(waits) == 1
    assert refusal is AWAY or 1.5 <= waits[0] <= 2.0


REFUSALS = {
    "429": [LIMITED] * 3,
    "no quota": [QUOTA],
    "503": [AWAY] * 3,
    "401": [whole("401 Unauthorized", b"")],
    "404": [whole("404 Not Found", b"")],
}


@pytest.mark.parametrize("replies", REFUSALS.values(), ids=REFUSALS)
def test_a_fallback_answers_with_its_first_model(fake, replies):
    first, second = fake(*replies), fake(ANSWER)
    end = route(table("a", first, "b"), table("b", second))[-1].end
    assert (end.upstream, end.model) == ("b", "m-1")
    assert b'"model":"model-b"' in second.requests[0]


def test_a_refused_connection_falls_back_to_the_demo():
    demo = UpstreamSettings("show", "demo", extra={"pace": 0, "tokens": 2})
    end = route(table("a", "http://127.0.0.1:9", "show"), demo)[-1].end
    assert (end.upstream, end.model) == ("show", "demo")


def test_a_fallback_that_takes_any_model_is_asked_for_the_one_that_was_named(fake):
    second = fake(ANSWER)
    any_model = UpstreamSettings("b", "openai", ("*",), second.address, connect=WAIT)
    route(table("a", "http://127.0.0.1:9", "b"), any_model)
    assert b'"model":"model-a"' in second.requests[0]


PAID = {
    "500": [whole("500 Internal Server Error", b"")],
    "400": [whole("400 Bad Request", b"")],
    "closed before the head": [[CLOSE]],
    "closed before the first token": [[CHUNKED, CLOSE]],
    "closed after a token": [[CHUNKED + chunk(event("a")), CLOSE]],
}


@pytest.mark.parametrize("replies", PAID.values(), ids=PAID)
def test_what_may_have_been_paid_is_asked_once(fake, replies):
    first, second = fake(*replies, ANSWER), fake(ANSWER)
    with pytest.raises(UpstreamError):
        route(table("a", first, "b"), table("b", second))
    assert (len(first.requests), len(second.requests)) == (1, 0)


def test_no_retries_by_setting(fake):
    server = fake(AWAY, ANSWER)
    with pytest.raises(UpstreamError):
        route(table("a", server, retries=0))
    assert len(server.requests) == 1


def test_who_leaves_during_a_silence_closes_the_connection(fake):
    server = fake([CHUNKED, HOLD])
    stream = Router(Settings(upstreams=(table("a", server),))).find("model-a").stream(calling("model-a", SAID))
    next(stream)
    stream.close()
    assert server.left.wait(WAIT)
