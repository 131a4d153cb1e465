"""How long a question and its answer may be."""

from __future__ import annotations

import msgspec
import pytest

from millstream.dialects.chat.request import as_it_came
from millstream.errors import RequestError
from millstream.events import Call
from millstream.limits.bounds import Bounds
from millstream.limits.lengths import LENGTHS, held
from millstream.question import Question


def may(max_prompt: int = 0, max_tokens: int = 0) -> Bounds:
    return Bounds(0, 0, 0, max_prompt, max_tokens)


def nested(depth: int) -> list:
    inner: list = ["12345"]
    for _ in range(depth):
        inner = [inner]
    return inner


def said(*texts: object) -> list[dict]:
    return [{"role": "user", "content": text} for text in texts]


def calling(messages: list[dict], options: object = (), hidden: int = 0, dialect: str = "chat") -> Call:
    return Call(Question("m", (), dialect=dialect, body={"messages": messages, **dict(options)}), hidden=hidden)


def prompt(said: object) -> Call:
    return calling([], {"prompt": said}, dialect="completions")


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100}}


@pytest.mark.parametrize(
    ("call", "size"),
    [
        (calling(said("12345", "678")), 8),
        (calling(said("你好")), 2),
        (calling(said("of the server's own", "123"), hidden=19), 3),
        (calling(said([{"type": "text", "text": "12345"}, PICTURE])), 5),
        (calling(said("1"), {"tools": [{"type": "function", "function": {"name": "abc"}}]}), 28),
        (calling([{"role": "a poem about", "content": ""}]), 12),
        (calling(said([{"type": "12345"}])), 5),
        (calling(said([{"type": "file", "file": {"filename": "12345"}}])), 5),
        (calling(said([{"type": "image_url", "image_url": {"url": "12345"}}])), 5),
        (calling(said([{"type": "image_url", "image_url": "data:image/png;base64,a b"}])), 25),
        (calling(said([{"type": "file", "file": {"file_data": "data:text/plain;base64,aGk="}}])), 27),
        (calling(said([{"type": "text", "text": "1", "thought": "23"}])), 10),
        (calling(said("1"), {"documents": msgspec.Raw(b'["2345"]')}), 9),
        (calling(said("1"), {"tools": nested(5000)}), 6),
        (calling(said("1"), {"tools": [{"data": "12345", "type": "text", "enum": [0.125]}]}), 27),
        (calling(said([{"type": "document", "source": {"type": "text", "data": "12345"}}])), 5),
        (calling(said("12", [{"source": {"type": "base64", "data": "12345"}}])), 2),
        (calling(said([{"type": "tool_use", "input": {"data": "12345", "type": ["text"]}}])), 17),
        (calling([{"role": "user", "tool_calls": [{"function": {"arguments": {"images": ["12345"]}}}]}]), 11),
        (calling([{"role": "user", "parts": [{"toolCallId": "", "output": [{"data": "12345"}]}]}]), 9),
        (calling([], {"images": ["a" * 99], "prompt": "12345"}), 5),
        (prompt("12345"), 5),
        (prompt(["123", "45"]), 5),
        (prompt([1, 2, 3]), 12),
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
    ("asked", "wanted"),
    [
        ({}, {"max_tokens": 100}),
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"max_tokens": 101, "stop": ["x"]}, {"max_tokens": 100, "stop": ["x"]}),
        ({"max_completion_tokens": 500}, {"max_tokens": 100}),
        ({"max_completion_tokens": 5, "max_tokens": 500}, {"max_tokens": 5}),
        ({"max_tokens": None}, {"max_tokens": 100}),
        ({"n_predict": -1, "max_tokens": 5}, {"max_tokens": 5}),
        ({"num_predict": 5}, {"max_tokens": 5}),
        ({"max_new_tokens": "many"}, {"max_tokens": 100}),
        ({"n": 3}, {"n": 3, "max_tokens": 33}),
        ({"n": None}, {"n": None, "max_tokens": 100}),
        ({"prompt": ["a", "b"], "n": 2, "best_of": 5}, {"max_tokens": 10}),
        ({"best_of": "5"}, {"best_of": "5", "max_tokens": 20}),
        ({"n_cmpl": 5.0, "n": 2}, {"n_cmpl": 5.0, "n": 2, "max_tokens": 20}),
        ({"prompt": [1, 2]}, {"max_tokens": 100}),
        ({"prompt": [[1], [2]]}, {"max_tokens": 50}),
    ],
)
def test_our_own_limit_is_sent_and_no_other_servers_word_for_it(asked, wanted):
    question = held(may(max_tokens=100), calling(said("x"), asked)).question
    options = {**as_it_came(question)}
    del options["messages"]
    assert options == {name: value for name, value in asked.items() if name not in LENGTHS} | wanted


@pytest.mark.parametrize("many", ["many", [5], float("inf"), msgspec.Raw(b'"5"')])
def test_a_number_of_answers_that_is_none_is_refused(many):
    with pytest.raises(RequestError, match="best_of has to be a whole number"):
        held(may(max_tokens=100), calling(said("x"), {"best_of": many}))


def test_more_answers_than_tokens_are_refused():
    with pytest.raises(RequestError, match="101 answers at once can't share the 100 tokens"):
        held(may(max_tokens=100), calling(said("x"), {"n": 101}))
