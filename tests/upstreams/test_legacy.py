"""Servers of the legacy completions, and OpenAI's own. Their frames: tests/wire/legacy."""

import json
from dataclasses import replace

import pytest

from millstream.dialects.chat.question import read
from millstream.dialects.completions.request import prompt
from millstream.errors import RequestError
from millstream.settings import SettingError
from millstream.upstreams.legacy import Legacy
from millstream.upstreams.openai import OpenAI
from tests.calling import calling
from tests.upstreams.fake import ANSWER, CHUNKED, LAST, SAID, chunk, failure, whole
from tests.upstreams.recorded import WIRE

RECORDED = (WIRE / "legacy" / "openai.sse").read_bytes()
REPLY = CHUNKED + chunk(RECORDED) + LAST
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": [{"type": "text", "text": "Two?"}]},
]


def settings(server, **extra):
    return replace(server.settings("key-1", extra=extra), kind="completions")


def asked(request):
    top, _, body = request.decode().partition("\r\n\r\n")
    return top.split(" ")[1], json.loads(body)


def events(upstream, call):
    return [event for batch in upstream.stream(call) for event in batch]


# -- a native question ---------------------------------------------------------------------------------------------

SENT = {"prompt": ["a", "b"], "suffix": "z", "logprobs": 2, "n": 2}
NATIVE = calling("m", [], SENT, api="completions")


@pytest.mark.parametrize(
    ("kind", "extra", "path", "model"),
    [
        (OpenAI, {}, "/v1/completions", {"model": "m"}),
        (Legacy, {}, "/v1/completions", {"model": "m"}),
        (Legacy, {"engine": "da/vinci"}, "/v1/engines/da%2Fvinci/completions", {}),
    ],
)
def test_a_native_question_goes_out_as_it_came(fake, kind, extra, path, model):
    server = fake(REPLY)
    table = settings(server, **extra)
    *frames, done = events(kind(replace(table, kind="openai") if kind is OpenAI else table), NATIVE)
    sent = {**model, **SENT, "stream": True, "stream_options": {"include_usage": True}}
    assert asked(server.requests[0]) == (path, sent)
    passed = [frame for event in (*frames, done) for frame in event.frames]
    assert b"".join(b"data: %s\n\n" % frame for frame in passed) + b"data: [DONE]\n\n" == RECORDED
    assert (done.end.finish_reason, done.end.usage.input, done.end.usage.output) == ("stop", 5, 9)


@pytest.mark.parametrize(
    ("given", "tokens"),
    [("12345678", 2), (["1234", "5678"], 2), ([1, 2, 3], 3), ([[1, 2], [3]], 3)],
)
def test_tokens_that_nobody_counts_are_estimated_from_the_prompt(fake, given, tokens):
    reply = CHUNKED + chunk((WIRE / "legacy" / "without_usage.sse").read_bytes()) + LAST
    call = calling("m", [], {"prompt": given}, api="completions")
    usage = events(Legacy(settings(fake(reply))), call)[-1].end.usage
    assert (usage.input, usage.output, usage.source) == (tokens, 2, "estimated")


def test_a_server_without_usage_is_asked_again_without(fake):
    server = fake(whole("400 Bad Request", b'{"error":"unknown field stream_options"}'), REPLY, REPLY)
    upstream = Legacy(settings(server))
    assert events(upstream, NATIVE)[-1].type == events(upstream, NATIVE)[-1].type == "done"
    assert ["stream_options" in asked(request)[1] for request in server.requests] == [True, False, False]


def test_a_server_without_the_legacy_api_is_asked_for_a_chat(fake):
    server = fake(ANSWER)
    upstream = OpenAI(server.settings(extra={"completions": False}))
    first, *_ = events(upstream, calling("m", [], {"prompt": "Once"}, api="completions"))
    assert asked(server.requests[0])[0] == "/v1/chat/completions"
    assert asked(server.requests[0])[1]["messages"] == [{"role": "user", "content": "Once"}]
    assert (first.text, first.frames) == ("Hel", ())


# -- a chat as a prompt --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (SAID, "Hi"),
        (TALK, "Be brief.\n\nUser: One?\n\nAssistant: Yes.\n\nUser: Two?\n\nAssistant:"),
        ([TALK[0], TALK[1]], "Be brief.\n\nUser: One?\n\nAssistant:"),
        ([TALK[1], {"role": "assistant", "content": None}], "User: One?\n\nAssistant: \n\nAssistant:"),
    ],
)
def test_a_conversation_becomes_one_prompt(messages, text):
    assert prompt(read({"model": "m", "messages": messages})) == text


@pytest.mark.parametrize(
    ("messages", "options", "sent"),
    [
        (SAID, {}, {"prompt": "Hi", "max_tokens": 1024}),
        (SAID, {"max_tokens": 5, "stop": ["x"]}, {"prompt": "Hi", "max_tokens": 5, "stop": ["x"]}),
        (TALK, {"temperature": 0}, {"max_tokens": 1024, "temperature": 0, "stop": ["\nUser:"]}),
        (TALK, {"stop": "x"}, {"stop": ["x", "\nUser:"]}),
        (TALK, {"stop": list("abcd")}, {"stop": list("abcd")}),
    ],
)
def test_a_chat_is_asked_for_as_a_completion(fake, messages, options, sent):
    server = fake(REPLY)
    came = events(Legacy(settings(server)), calling("m", messages, options))
    path, body = asked(server.requests[0])
    assert (path, body | sent) == ("/v1/completions", body)
    assert "messages" not in body
    assert [event.text for event in came] == ["Once", " upon a 你", ""]


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
    ],
)
def test_what_a_prompt_can_not_say_is_named_before_anything_is_asked(fake, options, param):
    server = fake()
    with pytest.raises(RequestError) as caught:
        events(Legacy(settings(server)), calling("m", SAID, options, api="openai"))
    assert (caught.value.param, server.connections) == (param, 0)


def test_half_a_character_in_the_prompt_is_refused(fake):
    with pytest.raises(RequestError) as caught:
        events(Legacy(settings(fake())), calling("m", [], {"prompt": "\ud83d"}, api="completions"))
    assert (caught.value.code, caught.value.param) == ("bad_field", "prompt")


def test_a_server_that_has_no_such_address_says_so(fake):
    error = failure(Legacy(settings(fake(whole("404 Not Found", b"")))))
    assert "check its base_url and models" in error.message


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"max_tokens": 0}, "max_tokens is 0; it has to be a whole number, 1 or more"),
        ({"max_tokens": "5"}, "max_tokens is '5'"),
        ({"engine": 5}, "engine is 5"),
        ({"think": "yes"}, "think is 'yes'; it has to be true or false"),
        ({"completions": False}, "completions is not a setting of the kind completions"),
    ],
)
def test_a_wrong_setting_is_named(fake, extra, words):
    with pytest.raises(SettingError, match=words):
        Legacy(settings(fake(), **extra))
