"""The body of a chat completions request, read for upstreams of another dialect."""

from __future__ import annotations

import pytest

from millstream.dialects.abilities import Abilities, check
from millstream.dialects.chat.question import read
from millstream.dialects.completions import question as completions
from millstream.errors import RequestError
from millstream.question import Audio, File, Image, Options, Result, Shape, Text, Tool, ToolCall, ToolChoice

HI = [{"role": "user", "content": "Hi"}]
WEATHER = {"name": "weather", "description": "of a city", "parameters": {"type": "object"}}
TOOL = Tool("weather", "of a city", {"type": "object"})


def asked(**options):
    return read({"model": "m", "messages": HI, **options})


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ({"temperature": 0, "top_p": 0.5, "stop": "x"}, Options(temperature=0, top_p=0.5, stop=("x",))),
        ({"stop": ["x", "y"], "max_completion_tokens": 7}, Options(stop=("x", "y"), max_tokens=7)),
        ({"seed": -5, "top_k": 3, "reasoning_effort": "low"}, Options(seed=-5, top_k=3, effort="low")),
        ({"user": "u", "metadata": {"a": "b"}, "store": True}, Options()),
        (
            {"n": 1, "presence_penalty": 0.0, "logprobs": False, "logit_bias": {}, "new": None},
            Options(presence_penalty=0.0),
        ),
        ({"response_format": {"type": "text"}, "parallel_tool_calls": True}, Options(parallel=True)),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True},
                }
            },
            Options(shape=Shape("json_schema", {"a": 1}, "n", True)),
        ),
    ],
)
def test_options(body, options):
    assert asked(**body).options == options


@pytest.mark.parametrize(
    "body",
    [
        {"n": 2},
        {"logprobs": True},
        {"modalities": ["text", "audio"]},
        {"audio": {"voice": "x"}},
        {"new": False},
        {"echo": True},
    ],
)
def test_what_only_openais_servers_can_do_is_named(body):
    assert asked(**body).beyond == tuple(body)
    with pytest.raises(RequestError) as caught:
        check(asked(**body), Abilities())
    assert (caught.value.status, [caught.value.param]) == (400, list(body))


@pytest.mark.parametrize("prompt", [["a", "b"], [1, 2], [[1, 2]]])
def test_a_prompt_that_is_no_message_is_named(prompt):
    with pytest.raises(RequestError) as caught:
        check(completions.read({"prompt": prompt}), Abilities())
    assert caught.value.param == "prompt"


def test_a_prompt_is_what_the_user_says():
    (message,) = completions.read({"prompt": ["Go on:"]}).messages
    assert (message.role, message.text) == ("user", "Go on:")


@pytest.mark.parametrize(
    ("body", "tools", "choice"),
    [
        ({"tools": [{"type": "function", "function": WEATHER}]}, (TOOL,), ToolChoice()),
        ({"functions": [WEATHER], "function_call": "none"}, (TOOL,), ToolChoice("none")),
        (
            {"functions": [WEATHER], "function_call": {"name": "weather"}},
            (TOOL,),
            ToolChoice("tool", "weather"),
        ),
        (
            {
                "tools": [{"type": "custom", "custom": {"name": "p"}}],
                "tool_choice": {"type": "custom", "custom": {"name": "p"}},
            },
            (Tool("p", custom=True),),
            ToolChoice("tool", "p"),
        ),
        ({"tools": [], "tool_choice": "none"}, (), ToolChoice()),
    ],
)
def test_tools(body, tools, choice):
    found = asked(**body)
    assert (found.tools, found.choice) == (tools, choice)


PNG = "data:image/png;base64,iVBORw=="
PARTS = [
    {"type": "text", "text": "a"},
    {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
    {"type": "image_url", "image_url": "https://a.example/b.png"},
    {"type": "file", "file": {"filename": "f.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
]
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


def test_every_part_of_a_conversation():
    said = [
        {"role": "user", "content": PARTS},
        {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "hm", "refusal": None},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "22"}]},
        {"role": "function", "name": "weather", "content": "22"},
    ]
    user, assistant, tool, function = read({"model": "m", "messages": said}).messages
    assert user.parts == (
        Text("a"),
        Image(PNG, "low"),
        Image("https://a.example/b.png"),
        File("data:application/pdf;base64,AAAA", "f.pdf"),
        Audio("AAAA", "mp3"),
    )
    assert assistant.parts == (ToolCall("c1", "weather", "{}"),)
    assert (tool.role, tool.parts) == ("tool", (Result("c1", (Text("22"),)),))
    assert function.parts == (Result("weather", (Text("22"),), name="weather"),)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "narrator", "content": "a"}, "messages[0].role"),
        ({"role": "assistant", "tool_calls": [{"id": "c"}]}, "messages[0].tool_calls[0].function"),
        ({"role": "user", "content": [{"type": "video"}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[0].content[0].text"),
    ],
)
def test_a_message_that_is_none_is_named(message, param):
    with pytest.raises(RequestError) as caught:
        check(read({"model": "m", "messages": [message]}), Abilities())
    assert caught.value.param == param
