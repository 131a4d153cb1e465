"""Anthropic's Messages API: the request and the refusals. Its events: tests/wire/anthropic."""

import json
from dataclasses import replace

import pytest
from msgspec import structs

from millstream.dialects.messages.question import read
from millstream.dialects.messages.request import write
from millstream.errors import RequestError
from millstream.events import Call
from millstream.settings import SettingError
from millstream.upstreams import anthropic as adapter
from millstream.upstreams.anthropic import Anthropic
from tests.calling import calling
from tests.upstreams.fake import CALL, CHUNKED, LAST, SAID, chunk, failure, whole
from tests.upstreams.recorded import WIRE

KEY = "sk-ant-api03-AbCdEfGhIjKl-0123456789"
REPLY = CHUNKED + chunk((WIRE / "anthropic" / "thinking.sse").read_bytes()) + LAST
ADAPTIVE = {"type": "adaptive", "display": "summarized"}


def anthropic(server, key=KEY, **extra):
    return Anthropic(replace(server.settings(key, extra=extra), kind="anthropic"))


def events(upstream, call=CALL):
    return [event for batch in upstream.stream(call) for event in batch]


# -- what is sent --------------------------------------------------------------------------------------------------


def test_the_request(fake):
    server = fake(REPLY)
    came = events(anthropic(server))  # its address ends in /v1, which is not doubled
    top, _, body = server.requests[0].decode().partition("\r\n\r\n")
    assert top.startswith("POST /v1/messages HTTP/1.1\r\n")
    headers = dict(line.lower().split(": ", 1) for line in top.split("\r\n")[1:])
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY.lower(), "2023-06-01")
    assert "authorization" not in headers
    sent = {"model": "m", "messages": SAID, "max_tokens": 4096, "temperature": 0.5, "stream": True}
    assert json.loads(body) == sent
    assert [(event.type, event.text) for event in came if event.text] == [
        ("reasoning", "Two and "),
        ("reasoning", "two.\n"),
        ("message", "Four"),
        ("message", " 四."),
    ]


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def system(text):
    return {"role": "system", "content": text}


MESSAGES = [
    # messages → system, messages
    ([user("a")], None, [user("a")]),
    ([system("s"), user("a"), assistant("b"), user("c")], "s", [user("a"), assistant("b"), user("c")]),
    ([system("s"), user("a"), system("t")], "s\n\nt", [user("a")]),
    ([{"role": "developer", "content": "s"}, user("a")], "s", [user("a")]),
    ([user("a"), assistant(""), user("b")], None, [user("a"), user("b")]),
    ([system(" "), user([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])], None, [user("ab")]),
]


@pytest.mark.parametrize(("messages", "instructed", "turns"), MESSAGES)
def test_system_messages_stand_apart(messages, instructed, turns):
    asked = write(calling("m", messages).question, 9, {})
    assert (asked.get("system"), asked["messages"]) == (instructed, turns)


LOW = {"effort": "low"}
SCHEMA = {"type": "json_schema", "schema": {}}


def budget(tokens):
    return {"type": "enabled", "budget_tokens": tokens}


OPTIONS = [
    # options, thinking → what they become
    ({}, {}, {"max_tokens": 9}),
    ({"max_tokens": 5, "top_p": 0.5, "top_k": 3}, {}, {"max_tokens": 5, "top_p": 0.5, "top_k": 3}),
    ({"stop": "x"}, {}, {"max_tokens": 9, "stop_sequences": ["x"]}),
    ({"stop": ["x", "y"]}, {}, {"max_tokens": 9, "stop_sequences": ["x", "y"]}),
    ({"temperature": 1.7}, {}, {"max_tokens": 9, "temperature": 1}),
    ({"temperature": 0}, {}, {"max_tokens": 9, "temperature": 0}),
    ({"temperature": 0.5, "top_p": 0.5, "top_k": 3}, ADAPTIVE, {"max_tokens": 9, "thinking": ADAPTIVE}),
    (
        {"max_tokens": 100, "temperature": 0.5},
        {"type": "enabled", "budget_tokens": 2000},
        {"max_tokens": 2100, "thinking": {"type": "enabled", "budget_tokens": 2000}},
    ),
    ({"reasoning_effort": "max"}, None, {"max_tokens": 9, "thinking": ADAPTIVE, "output_config": {"effort": "max"}}),
    ({"reasoning_effort": "minimal"}, ADAPTIVE, {"max_tokens": 9, "thinking": ADAPTIVE, "output_config": LOW}),
    ({"reasoning_effort": "medium"}, budget(6000), {"max_tokens": 3009, "thinking": budget(3000)}),
    ({"reasoning_effort": "low"}, budget(2000), {"max_tokens": 1033, "thinking": budget(1024)}),
    *(({"reasoning_effort": word}, {}, {"max_tokens": 9}) for word in ("high", "none")),
    ({"reasoning_effort": "none"}, ADAPTIVE, {"max_tokens": 9}),
    *(({"reasoning_effort": word}, None, {"max_tokens": 9}) for word in ("none", "a word to come")),
    (
        {"reasoning_effort": "low", "response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
        None,
        {"max_tokens": 9, "thinking": ADAPTIVE, "output_config": {**LOW, "format": SCHEMA}},
    ),
]


@pytest.mark.parametrize(("options", "thinking", "become"), OPTIONS)
def test_options_in_the_apis_words(options, thinking, become):
    asked = write(calling("m", [user("a")], options).question, 9, thinking)
    assert asked == {"model": "m", "messages": [user("a")], "stream": True, **become}


@pytest.mark.parametrize(
    ("extra", "max_tokens", "thinking"),
    [
        ({}, 4096, None),
        ({"max_tokens": 100, "thinking": 0}, 100, None),
        ({"thinking": 2000}, 6096, {"type": "enabled", "budget_tokens": 2000}),
        ({"thinking": "adaptive"}, 4096, ADAPTIVE),
    ],
)
def test_the_settings_are_sent(fake, extra, max_tokens, thinking):
    server = fake(REPLY)
    events(anthropic(server, **extra))
    body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
    assert (body["max_tokens"], body.get("thinking")) == (max_tokens, thinking)


@pytest.mark.parametrize("messages", [[], [system("s")], [user(" \n")], [user("\ud83d")]])
def test_a_question_that_can_not_be_asked_is_refused_before_anything_is_sent(fake, messages):
    server = fake()
    with pytest.raises(RequestError) as caught:
        events(anthropic(server), calling("m", messages))
    assert (caught.value.code, caught.value.param, server.connections) == ("bad_field", "messages", 0)


# -- what comes ----------------------------------------------------------------------------------------------------


def test_openais_words_for_options(fake):
    server = fake(REPLY)
    events(anthropic(server), calling("m", SAID, {"top_k": 5, "max_completion_tokens": 7}, api="openai"))
    body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
    assert (body["top_k"], body["max_tokens"]) == (5, 7)


def test_through_its_own_door_everything_passes_as_it_came(fake):
    server = fake(REPLY)
    body = {"model": "alias", "max_tokens": 50, "messages": [user("a")], "metadata": {"user_id": "x"}, "new": [1.0]}
    headers = {"anthropic-version": "2026-10-21", "anthropic-beta": "context-1"}
    call = Call(structs.replace(read(body), model="m"), passing=True, headers=headers)
    *came, done = events(anthropic(server), call)
    head = server.requests[0].partition(b"\r\n\r\n")[0].decode()
    said = dict(line.split(": ") for line in head.split("\r\n") if line.startswith("anthropic"))
    assert said == headers and head.count("anthropic-version") == 1
    assert json.loads(server.requests[0].partition(b"\r\n\r\n")[2]) == body | {"model": "m", "stream": True}
    passed = [json.loads(frame) for event in (*came, done) for frame in event.frames]
    lines = (WIRE / "anthropic" / "thinking.sse").read_text("utf-8").splitlines()
    assert passed == [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


def test_an_answer_that_comes_unstreamed(fake):
    message = {
        "type": "message",
        "model": "m-1",
        "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Four"}, None, {"type": "x"}],
        "stop_reason": "max_tokens",
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }
    reply = whole(body=json.dumps(message).encode()).replace(b"text/event-stream", b"application/json")
    *texts, done = events(anthropic(fake(reply)))
    assert [(event.type, event.text) for event in texts] == [("reasoning", "Hm"), ("message", "Four")]
    assert (done.end.model, done.end.finish_reason, done.end.usage.output) == ("m-1", "length", 4)


def said(type, message):
    return json.dumps({"type": "error", "error": {"type": type, "message": message}}).encode()


REFUSALS = [
    # status, headers, body → code, paid, retry_after, words of the message
    (
        "529 Overloaded",
        [],
        said("overloaded_error", "Overloaded"),
        "upstream_refused",
        False,
        None,
        "(HTTP 529): Over",
    ),
    ("429 Too Many", ["retry-after: 7"], said("rate_limit_error", "x"), "upstream_limited", False, 7.0, "in 7 s"),
    ("401 No", [], said("authentication_error", f"bad {KEY}"), "upstream_auth", True, None, "Check its api_key"),
    ("404 No", [], said("not_found_error", "model: m"), "upstream_refused", True, None, "model: m"),
    ("400 No", [], said("invalid_request_error", "too long"), "bad_request", True, None, "too long"),
]


@pytest.mark.parametrize(("status", "headers", "body", "code", "paid", "wait", "words"), REFUSALS)
def test_a_refusal(fake, status, headers, body, code, paid, wait, words):
    error = failure(anthropic(fake(whole(status, body, *headers))))
    assert (error.code, error.paid, error.retry_after) == (code, paid, wait)
    assert words in error.message
    assert KEY not in error.message


@pytest.mark.parametrize("said", [f'{{"type":"error","error":{{"message":"{KEY}"}}}}', f"no JSON {KEY}"])
def test_no_part_of_the_key_is_shown_behind_the_status(fake, said):
    message = failure(anthropic(fake(whole(body=f"data: {said}\n\n".encode())))).message
    assert not any(KEY[at : at + 6] in message for at in range(len(KEY) - 5))


# -- settings ------------------------------------------------------------------------------------------------------


def test_the_address_is_known(fake, monkeypatch):
    server = fake(REPLY)
    monkeypatch.setattr(adapter, "BASE_URL", server.address)
    assert events(Anthropic(replace(server.settings(KEY), base_url="")))[-1].type == "done"


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"thinking": 1023}, "thinking is 1023; it has to be a whole number of tokens, 1024 or more"),
        ({"thinking": -1}, "thinking is -1"),
        ({"thinking": True}, "thinking is True"),
        ({"thinking": "much"}, "thinking is 'much'"),
        ({"deployment": "x"}, "deployment is not a setting of the kind anthropic; of its own"),
    ],
)
def test_a_wrong_setting_is_named(fake, extra, words):
    with pytest.raises(SettingError, match=words):
        anthropic(fake(), **extra)


def test_a_key_that_can_be_none_is_not_shown(fake):
    with pytest.raises(SettingError) as caught:
        anthropic(fake(), "two words")
    assert "two words" not in str(caught.value)
