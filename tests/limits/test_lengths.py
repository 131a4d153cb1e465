"""How long a question and its answer may be."""

from __future__ import annotations

import msgspec
import pytest

from millstream.errors import RequestError
from millstream.events import Call
from millstream.limits.bounds import Bounds
from millstream.limits.lengths import LENGTHS, held


def may(max_prompt: int = 0, max_tokens: int = 0) -> Bounds:
    return Bounds(0, 0, 0, max_prompt, max_tokens)


def nested(depth: int) -> list:
    inner: list = ["12345"]
    for _ in range(depth):
        inner = [inner]
    return inner


def said(*texts: object) -> list[dict]:
    return [{"role": "user", "content": text} for text in texts]


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100}}


@pytest.mark.parametrize(
    ("call", "size"),
    [
        (Call("m", said("12345", "678")), 8),
        (Call("m", said("你好")), 2),
        (Call("m", said("of the server's own", "123"), hidden=1), 3),
        (Call("m", said([{"type": "text", "text": "12345"}, PICTURE]), api="openai"), 5),
        (Call("m", said("1"), {"tools": [{"type": "function", "function": {"name": "abc"}}]}, api="openai"), 20),
        (Call("m", [{"role": "a poem about", "content": ""}], api="openai"), 12),
        (Call("m", said([{"type": "12345"}]), api="openai"), 5),
        (Call("m", said([{"type": "file", "file": {"filename": "12345"}}]), api="openai"), 5),
        (Call("m", said([{"type": "image_url", "image_url": {"url": "12345"}}]), api="openai"), 5),
        (Call("m", said([{"type": "image_url", "image_url": "data:image/png;base64,a b"}]), api="openai"), 25),
        (Call("m", said([{"type": "file", "file": {"file_data": "data:text/plain;base64,aGk="}}]), api="openai"), 27),
        (Call("m", said([{"type": "text", "text": "1", "thought": "23"}]), api="openai"), 10),
        (Call("m", said("1"), {"documents": msgspec.Raw(b'["2345"]')}, api="openai"), 9),
        (Call("m", said("1"), {"tools": nested(5000)}, api="openai"), 6),
        (Call("m", [], {"prompt": "12345"}, api="completions"), 5),
        (Call("m", [], {"prompt": ["123", "45"]}, api="completions"), 5),
        (Call("m", [], {"prompt": [1, 2, 3]}, api="completions"), 12),
    ],
)
def test_a_question_has_so_many_characters(call, size):
    assert held(may(max_prompt=size), call) is call
    assert held(may(), call) is call
    with pytest.raises(RequestError) as refusal:
        held(may(max_prompt=size - 1), call)
    assert (refusal.value.status, refusal.value.code) == (413, "prompt_too_long")
    assert f"has {size} characters; shorten it to {size - 1}." in refusal.value.message


@pytest.mark.parametrize(
    ("api", "asked", "wanted"),
    [
        ("chat", {}, {"max_tokens": 100}),
        ("chat", {"max_tokens": 7}, {"max_tokens": 7}),
        ("chat", {"max_tokens": 101, "stop": ["x"]}, {"max_tokens": 100, "stop": ["x"]}),
        ("openai", {"max_completion_tokens": 500}, {"max_tokens": 100}),
        ("openai", {"max_completion_tokens": 5, "max_tokens": 500}, {"max_tokens": 5}),
        ("openai", {"max_tokens": None}, {"max_tokens": 100}),
        ("openai", {"n_predict": -1, "max_tokens": 5}, {"max_tokens": 5}),
        ("openai", {"num_predict": 5}, {"max_tokens": 5}),
        ("openai", {"max_new_tokens": "many"}, {"max_tokens": 100}),
        ("openai", {"n": 3}, {"n": 3, "max_tokens": 33}),
        ("openai", {"n": None}, {"n": None, "max_tokens": 100}),
        ("completions", {"prompt": ["a", "b"], "n": 2, "best_of": 5}, {"max_tokens": 10}),
        ("openai", {"best_of": "5"}, {"best_of": "5", "max_tokens": 20}),
        ("openai", {"n_cmpl": 5.0, "n": 2}, {"n_cmpl": 5.0, "n": 2, "max_tokens": 20}),
        ("completions", {"prompt": [1, 2]}, {"max_tokens": 100}),
        ("completions", {"prompt": [[1], [2]]}, {"max_tokens": 50}),
    ],
)
def test_our_own_limit_is_sent_and_no_other_servers_word_for_it(api, asked, wanted):
    options = held(may(max_tokens=100), Call("m", said("x"), asked, api=api)).options
    assert options == {name: value for name, value in asked.items() if name not in LENGTHS} | wanted


@pytest.mark.parametrize("many", ["many", [5], float("inf"), msgspec.Raw(b'"5"')])
def test_a_number_of_answers_that_is_none_is_refused(many):
    with pytest.raises(RequestError, match="best_of has to be a whole number"):
        held(may(max_tokens=100), Call("m", said("x"), {"best_of": many}, api="openai"))


def test_more_answers_than_tokens_are_refused():
    with pytest.raises(RequestError, match="101 answers at once can't share the 100 tokens"):
        held(may(max_tokens=100), Call("m", said("x"), {"n": 101}, api="openai"))
