"""Frames for upstreams that give texts, and questions for them."""

from __future__ import annotations

import json

import pytest

from millstream.errors import RequestError, UpstreamError
from millstream.events import Call, End, Event, Usage
from millstream.upstreams import Deadlines
from millstream.upstreams.frames import Framed, question, speak

HI = [{"role": "user", "content": "Hi"}]
DONE = Event("done", end=End("real-1", "texts", "length", Usage(3, 2)))


class Texts:
    """Gives these batches; remembers what it was asked, and that it was closed."""

    name = "texts"
    deadlines = Deadlines()
    native = frozenset({"chat"})
    options = frozenset({"seed"})

    def __init__(self, *batches):
        self.batches = batches
        self.closed = False

    def stream(self, call):
        self.call = call
        try:
            for batch in self.batches:
                if isinstance(batch, Exception):
                    raise batch
                yield batch
        finally:
            self.closed = True


def ask(upstream, api="openai", options=None, messages=HI):
    return list(Framed(upstream).stream(Call("m", messages if api == "openai" else [], options or {}, api=api)))


def frames(batches):
    return [json.loads(event.frame) for batch in batches for event in batch if event.type == "frame"]


def test_the_role_comes_first_and_the_usage_last():
    batches = ask(Texts([], [Event(text="a"), Event("reasoning", "hm")], [Event(text="b"), DONE]))
    assert [len(batch) for batch in batches] == [0, 3, 4]
    assert batches[-1][-1] == DONE
    first, *_, usage = made = frames(batches)
    assert [one["choices"][0]["delta"] for one in made[:-1]] == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {"reasoning_content": "hm"},
        {"content": "b"},
        {},
    ]
    assert [one["choices"][0]["finish_reason"] for one in made[:-1]] == [None, None, None, None, "length"]
    assert (usage["choices"], usage["usage"]) == (
        [],
        {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    )
    assert len({(one["id"], one["created"], one["model"], one["object"]) for one in made}) == 1
    assert (first["id"][:9], first["model"], first["object"]) == ("chatcmpl-", "m", "chat.completion.chunk")


def test_another_answer_has_another_id():
    assert len({frames(ask(Texts([], [DONE])))[0]["id"] for _ in range(5)}) == 5


def test_an_empty_answer_still_has_a_role_and_a_reason():
    role, end, _ = frames(ask(Texts([], [DONE])))
    assert (role["choices"][0]["delta"]["role"], end["choices"][0]["finish_reason"]) == ("assistant", "length")


def test_legacy_completions_have_texts():
    upstream = Texts([], [Event("reasoning", "hm"), Event(text="a")], [DONE])
    thought, text, end, _ = frames(ask(upstream, "completions", {"prompt": "Go on:"}))
    assert (thought["choices"][0]["text"], text["choices"][0]["text"]) == ("", "a")
    assert (text["object"], text["id"][:5]) == ("text_completion", "cmpl-")
    assert end["choices"][0]["finish_reason"] == "length"
    assert upstream.call.messages == [{"role": "user", "content": "Go on:"}]


def test_a_failure_passes_through():
    with pytest.raises(UpstreamError, match=r"gone"):
        ask(Texts([], [Event(text="a")], UpstreamError("upstream_broke", "gone")))


def test_closing_it_closes_the_upstream():
    upstream = Texts([], [Event(text="a")])
    asking = Framed(upstream).stream(Call("m", HI, api="openai"))
    next(asking)
    assert not upstream.closed
    asking.close()
    assert upstream.closed


def test_who_speaks_an_api_is_asked_itself():
    upstream = Texts()
    assert speak(upstream, "chat") is upstream
    assert isinstance(speak(upstream, "openai"), Framed)
    assert {"openai", "completions"} <= speak(upstream, "completions").native


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        ({"temperature": 0, "top_p": 0.5, "stop": "x"}, {"temperature": 0, "top_p": 0.5, "stop": ["x"]}),
        ({"stop": ["x", "y"], "max_completion_tokens": 7}, {"stop": ["x", "y"], "max_tokens": 7}),
        ({"seed": 5}, {"seed": 5}),
        ({"user": "u", "metadata": {"a": "b"}, "store": True}, {}),
        ({"n": 1, "presence_penalty": 0.0, "logprobs": False, "tools": [], "logit_bias": {}, "new": None}, {}),
        ({"response_format": {"type": "text"}, "tool_choice": "none", "parallel_tool_calls": True}, {}),
    ],
)
def test_fields_are_passed_on_or_ask_for_nothing(asked, options):
    upstream = Texts([], [DONE])
    ask(upstream, options=asked)
    assert (upstream.call.options, upstream.call.api, upstream.call.messages) == (options, "chat", HI)


@pytest.mark.parametrize(
    "asked",
    [
        {"n": 2},
        {"n": True},
        {"tools": [{"type": "function"}]},
        {"tool_choice": "required"},
        {"logprobs": True},
        {"response_format": {"type": "json_object"}},
        {"presence_penalty": 1},
        {"functions": [{"name": "f"}]},
        {"modalities": ["text", "audio"]},
        {"audio": {"voice": "x"}},
        {"prompt": "x"},
        {"new": False},
    ],
)
def test_a_field_that_texts_cannot_satisfy_is_named(asked):
    upstream = Texts([], [DONE])
    with pytest.raises(RequestError) as caught:
        ask(upstream, options=asked)
    assert (caught.value.status, [caught.value.param]) == (400, list(asked))
    assert not hasattr(upstream, "call")


@pytest.mark.parametrize(
    "asked", [{"prompt": ["a", "b"]}, {"prompt": [1, 2]}, {"prompt": [[1, 2]]}, {"logprobs": 0}, {"echo": True}]
)
def test_so_is_one_of_the_legacy_api(asked):
    with pytest.raises(RequestError) as caught:
        ask(Texts([], [DONE]), "completions", {"prompt": "a"} | asked)
    assert [caught.value.param] == list(asked)


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"role": "user", "content": "a", "name": "Al"}, "a"),
        ({"role": "assistant", "content": None, "tool_calls": [], "refusal": None, "reasoning_content": "hm"}, ""),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
    ],
)
def test_messages_become_texts(message, content):
    asked = question(Call("m", [message], api="openai"))
    assert asked.messages == [{"role": message["role"], "content": content}]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "tool", "content": "a"}, "messages[0].role"),
        ({"role": "assistant", "tool_calls": [{"id": "c"}]}, "messages[0].tool_calls"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[0].content[0].type"),
    ],
)
def test_a_message_that_is_no_text_is_named(message, param):
    with pytest.raises(RequestError) as caught:
        question(Call("m", [message], api="openai"))
    assert caught.value.param == param
