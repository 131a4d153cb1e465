"""Function calls: offered through OpenAI's API, called by Spark."""

import json

import pytest

from millstream.dialects.chat.question import read
from millstream.dialects.chat.writer import Chunks
from millstream.dialects.spark.request import messages
from millstream.errors import RequestError
from millstream.events import Meta
from millstream.upstreams.spark import Spark
from tests.calling import calling
from tests.upstreams.spark_server import SparkServer, answer, frame

WEATHER = {"name": "weather", "description": "of a city", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": {**WEATHER, "strict": True}}]
CALLED = {"name": "weather", "arguments": '{"city":"合肥"}'}
REPLY = [frame("", 2, usage=(5, 9), function_call=CALLED)]


def ask(reply, model="4.0Ultra", **options):
    """The frames as OpenAI's client sees them, and what Spark was asked."""
    server = SparkServer(reply)
    upstream = Spark(server.settings((model,)))
    echo = {"functions": True} if "functions" in options else {}
    chunks = Chunks(Meta("i", "", "", 0.0, model, api="openai", echo=echo))
    call = calling(model, [{"role": "user", "content": "How is it in Hefei?"}], options, api="openai")
    try:
        events = [event for batch in upstream.stream(call) for event in batch]
    finally:
        server.close()
    assert events[-1].type == "done"
    return [json.loads(chunk) for event in events for chunk in chunks.of(event)], server.questions[0]


def test_tools_are_offered_and_the_call_comes_back():
    frames, question = ask(REPLY, tools=TOOLS, tool_choice="auto")
    assert question["payload"]["functions"] == {"text": [WEATHER]}
    role, *_, called, last, usage = frames
    assert role["choices"][0]["delta"]["role"] == "assistant"
    assert called["choices"][0]["delta"] == {
        "tool_calls": [{"index": 0, "id": "call_cht000@dx_0", "type": "function", "function": CALLED}]
    }
    assert last["choices"][0]["finish_reason"] == "tool_calls"
    assert usage["usage"]["total_tokens"] == 14


def test_the_old_words_for_it():
    frames, question = ask(REPLY, functions=[WEATHER])
    assert question["payload"]["functions"] == {"text": [WEATHER]}
    assert frames[-3]["choices"][0]["delta"] == {"function_call": CALLED}
    assert frames[-2]["choices"][0]["finish_reason"] == "function_call"


def test_an_answer_in_words_stays_one():
    frames, _ = ask(answer("It ", "rains."), tools=TOOLS)
    assert "".join(one["choices"][0]["delta"].get("content", "") for one in frames[:-1]) == "It rains."
    assert frames[-2]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("options", [{}, {"tools": []}, {"tools": TOOLS, "tool_choice": "none"}])
def test_what_is_not_offered_is_not_called(options):
    frames, question = ask([frame("", 2, function_call=CALLED)], **options)
    assert "functions" not in question["payload"]
    assert "tool_calls" not in str(frames)


WRONG = {
    "a choice": ("4.0Ultra", {"tools": TOOLS, "tool_choice": "required"}, "tool_choice"),
    "a named one": ("4.0Ultra", {"functions": [WEATHER], "function_call": {"name": "weather"}}, "tool_choice"),
    "another tool": ("4.0Ultra", {"tools": [{"type": "web_search"}]}, "tools[0].type"),
    "no name": ("4.0Ultra", {"functions": [{}]}, "functions[0].name"),
    "a model without": ("lite", {"tools": TOOLS}, "tools"),
    "another option": ("4.0Ultra", {"logprobs": True}, "logprobs"),
}


@pytest.mark.parametrize(("model", "options", "param"), WRONG.values(), ids=WRONG)
def test_what_spark_can_not_do_is_named(model, options, param):
    with pytest.raises(RequestError) as caught:
        ask(REPLY, model, **options)
    assert (caught.value.code, caught.value.param) == ("bad_field", param)


def test_a_call_and_its_result_are_told_again_as_texts():
    calls = [{"id": "c1", "type": "function", "function": CALLED}]
    said = [
        {"role": "user", "content": "How is it in Hefei?"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "It rains."},
    ]
    assert messages(read({"model": "m", "messages": said}).messages, system=True)[1:] == [
        {"role": "assistant", "content": 'weather({"city":"合肥"})'},
        {"role": "user", "content": "weather gave: It rains."},
    ]
