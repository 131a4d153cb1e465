"""A whole answer out of its chunks."""

from __future__ import annotations

import json

import pytest

from millstream.dialects.chat.whole import assemble
from millstream.events import End, Meta, Usage

META = Meta(id="abc", owner="me", worker="w", created=17.5, model="m", api="openai")
END = End("m-1", "up", "stop", Usage(3, 2))


def whole(*chunks: dict, chat: bool = True, end: End = END) -> dict:
    return assemble([json.dumps(chunk).encode() for chunk in chunks], META, end, chat)


def delta(index: int = 0, reason: str | None = None, **delta: object) -> dict:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": reason}]}


def call(index: int, **call: object) -> dict:
    return delta(tool_calls=[{"index": index, **call}])


@pytest.mark.parametrize(
    ("deltas", "message"),
    [
        ([{"role": "assistant", "content": None}, {"content": "a"}, {"content": "b"}, {}], {"content": "ab"}),
        ([{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}], {"content": "ab"}),
        ([{"role": "assistant", "content": None}, {}], {"content": ""}),
        ([{"role": "assistant", "content": ""}], {"content": ""}),
        ([{"content": "a", "refusal": None}, {"refusal": None}], {"content": "a", "refusal": None}),
        (
            [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}]}, {"content": "a"}],
            {"content": "a", "reasoning_content": "h"},
        ),
        ([{"content": [{"type": "text", "text": "a"}]}, {"content": "b"}], {"content": "ab"}),
        (
            [{"content": [{"type": "image_url", "image_url": {}}]}],
            {"content": [{"type": "image_url", "image_url": {}}]},
        ),
        ([{"refusal": "I "}, {"refusal": "won't"}], {"content": None, "refusal": "I won't"}),
        (
            [{"reasoning_content": "h"}, {"reasoning_content": "m", "content": None}, {"content": "a"}],
            {"content": "a", "reasoning_content": "hm"},
        ),
        (
            [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}],
            {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
        ),
        ([{"new": "a"}, {"new": "b"}, {"x": 1}, {"x": 2}], {"content": "", "new": "ab", "x": 2}),
        ([{"new": "a"}, {"new": 5}], {"content": "", "new": 5}),
        (
            [{"audio": {"id": "au", "data": "AA"}}, {"audio": {"data": "BB", "expires_at": 9}}],
            {"content": None, "audio": {"id": "au", "data": "AABB", "expires_at": 9}},
        ),
        (
            [{"annotations": [{"n": 1}]}, {"annotations": [{"n": 2}]}],
            {"content": "", "annotations": [{"n": 1}, {"n": 2}]},
        ),
    ],
)
def test_deltas_become_one_message(deltas, message):
    made = whole(*(delta(**one) for one in deltas))["choices"][0]["message"]
    assert made == {"role": "assistant", "refusal": None} | message


def test_calls_of_tools_are_told_apart_by_their_index():
    made = whole(
        call(0, id="c1", type="function", function={"name": "f", "arguments": ""}),
        call(1, id="c2", type="function", function={"name": "g", "arguments": ""}),
        call(0, function={"arguments": '{"a"'}),
        call(1, id="", function={"name": None, "arguments": "{}"}),
        call(0, id="c1", type="function", function={"name": "f", "arguments": ":1}"}),
    )
    assert made["choices"][0]["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_several_answers_are_told_apart_and_in_order():
    made = whole(delta(1, content="x"), delta(0, content="a"), delta(1, "length", content="y"), delta(0, "stop"))
    shown = [(one["index"], one["message"]["content"], one["finish_reason"]) for one in made["choices"]]
    assert shown == [(0, "a", "stop"), (1, "xy", "length")]


@pytest.mark.parametrize(
    ("pieces", "joined"),
    [
        ([None, {"content": [{"token": "a"}], "refusal": None}, {"content": [{"token": "b"}]}, None], 2),
        ([None, None], None),
    ],
)
def test_logprobs_are_one_list(pieces, joined):
    made = whole(*({"choices": [{"index": 0, "delta": {}, "logprobs": piece}]} for piece in pieces))
    logprobs = made["choices"][0]["logprobs"]
    assert (len(logprobs["content"]) if logprobs else None) == joined


def test_the_frame_around_the_choices_is_kept():
    made = whole(
        {"id": "", "created": 0, "model": "", "object": "", "choices": [], "prompt_filter_results": [1]},
        {"id": "i", "created": 5, "model": "m-2", "system_fingerprint": "fp", **delta(content="a"), "usage": None},
        {"id": "i", "created": 5, **delta(reason="stop"), "obfuscation": "xY", "new": True},
        {"id": "i", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 8, "more": {"x": 0}}},
        {"id": "i", "choices": None, "usage": {"prompt_tokens": 0, "completion_tokens": 0}},
    )
    assert {name: value for name, value in made.items() if name != "choices"} == {
        "id": "i",
        "object": "chat.completion",
        "created": 5,
        "model": "m-2",
        "system_fingerprint": "fp",
        "new": True,
        "prompt_filter_results": [1],
        "usage": {"prompt_tokens": 9, "completion_tokens": 8, "more": {"x": 0}},
    }


def test_what_no_frame_says_is_filled_in():
    made = whole(delta(content="a"))
    assert (made["id"], made["created"], made["model"]) == ("abc", 17, "m-1")
    assert made["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert made["choices"][0]["finish_reason"] == "stop"


def test_azures_filter_results_count_by_the_last_ones():
    safe = {"hate": {"filtered": False, "severity": "safe"}}
    late = {"choices": [{"index": 0, "content_filter_results": safe, "content_filter_offsets": {"end_offset": 9}}]}
    made = whole(delta(content="a") | {"choices": [{"index": 0, "delta": {}, "content_filter_results": safe}]}, late)
    assert made["choices"][0]["content_filter_results"] == safe


def test_legacy_completions_join_their_texts():
    made = whole(
        {
            "id": "i",
            "object": "text_completion",
            "choices": [{"index": 0, "text": "a", "logprobs": {"tokens": ["a"]}}],
        },
        {"choices": [{"index": 0, "text": "b", "logprobs": {"tokens": ["b"]}, "finish_reason": "length"}]},
        chat=False,
    )
    assert made["object"] == "text_completion"
    assert made["choices"] == [
        {"index": 0, "text": "ab", "logprobs": {"tokens": ["a", "b"]}, "finish_reason": "length"}
    ]


@pytest.mark.parametrize("broken", [b'"\\ud83d"', b'"\xff"'])
def test_half_a_character_harms_nothing_else(broken):
    frame = b'{"choices":[{"index":0,"delta":{"content":' + broken + b'}}],"id":"i"}'
    assert assemble([frame], META, END)["id"] == "i"


@pytest.mark.parametrize("odd", [{}, {"choices": [5]}, {"choices": {}}, {"choices": [{"index": "x", "delta": 5}]}])
def test_odd_chunks_do_no_harm(odd):
    assert whole(odd, delta(content="a"), odd)["choices"][0]["message"]["content"] == "a"
