"""What is true of the decoder of chat completions beside its recorded answers: see test_recorded.py."""

import json
import weakref
from itertools import chain

import pytest

from millstream.dialects.chat.reader import Chunks, answers_asked
from millstream.dialects.chat.whole import assemble
from millstream.errors import UpstreamError
from millstream.events import Call, Meta
from millstream.question import Message, Question, Text
from millstream.upstreams import answers
from millstream.upstreams.decoder import Decoder
from tests.calling import calling
from tests.upstreams.recorded import CALL, WIRE, Recorded
from tests.upstreams.recorded import decode as decoded


def decode(pieces, call=CALL):
    return decoded(pieces, decoder(call))


def decoder(call):
    passing = call.api != "chat"
    return Decoder(Chunks(answers_asked(call.question.body) if passing else 1), call, "test", passing=passing)


class Said(Message, frozen=True, weakref=True):
    """A message that a weak reference can point at."""


def test_the_question_is_not_kept_while_its_answer_comes():
    message = Said("user", (Text("12345678"),))
    seen = weakref.ref(message)
    made = decoder(Call(Question("m", (message,))))
    del message
    assert seen() is None
    made.feed(b"[DONE]")
    assert made.close()[-1].end.usage.input == 4 + 2


def test_all_events_of_one_read_are_one_batch():
    batches, _ = decode([recorded("openai")])
    assert [[event.type for event in batch] for batch in batches] == [["message", "message", "done"]]


def test_what_came_before_an_error_is_given_first():
    batches, error = decode([recorded("error_vllm")])
    assert [[event.text for event in batch] for batch in batches] == [["a"]]
    assert error.code == "upstream_broke"


def test_an_event_is_given_as_soon_as_its_line_end_has_come():
    first, rest = recorded("openai").split(b'"The"', 1)
    line, rest = rest.split(b"\n\n", 1)
    batches, _ = decode([first + b'"The"' + line + b"\n\n", rest])
    assert [event.text for event in batches[0]] == ["The"]


def test_for_the_openai_api_each_payload_is_a_frame_as_it_came():
    data = recorded("several_answers")
    batches, _ = decode([data], calling("asked", [], api="openai"))
    *frames, done = batches[0]
    passed = [frame for event in (*frames, done) for frame in event.frames]
    assert b"".join(b"data: %s\n\n" % frame for frame in passed) + b"data: [DONE]\n\n" == data
    assert (done.type, done.end.usage.output) == ("done", 15)


TEXT = b'data: {"model":"m%d","choices":[{"delta":{"content":"%d"}}]}\n\n'
BETWEEN = {
    "text": TEXT % (5, 5),
    "another choice": b'data: {"choices":[{"index":1,"delta":{"content":"x"}}]}\n\n',
    "a call": b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f"}}]}}]}\n\n',
    "usage": b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n',
    "half a pair": b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n',
    "two in one": b'data: {"choices":[{"delta":{"content":"x"}}]}\ndata: {"choices":[{"delta":{"content":"y"}}]}\n\n',
    "two in one, and none": b'data: {"choices":[{"delta":{"content":"x"}}]}{"choices":[]}\n\ndata: \n\n',
    "an error": b'event: error\ndata: {"choices":[{"delta":{"content":"x"}}]}\n\n',
    "nothing": b"data: null\n\n",
}


@pytest.mark.parametrize("api", ["chat", "openai"])
@pytest.mark.parametrize("between", BETWEEN.values(), ids=BETWEEN)
def test_many_chunks_of_one_read_are_the_same_as_each_alone(between, api):
    first, end = TEXT % (0, 0), b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    read = [TEXT % (n, n) for n in (1, 2)] + [between] + [TEXT % (n, n) for n in (3, 4)]
    call = calling("asked", [], {"n": 2} if b'"index":1' in between else {}, api=api)
    alone, error = decode([first, *read, end], call)
    together, trouble = decode([first, b"".join(read), end], call)
    assert list(chain(*together)) == list(chain(*alone))
    assert str(error) == str(trouble)


def test_a_whole_answer_without_a_stream():
    body = b'{"model":"m","choices":[{"message":{"content":"all"},"finish_reason":null}],"usage":{"prompt_tokens":1}}'
    source = answers.Sniffed()
    (batch,) = answers.Answer(Recorded(body[:30], body[30:]), source, decoder(CALL), "test")
    assert [event.text for event in batch] == ["all", ""]
    assert batch[-1].end.finish_reason == "stop"


OPENAI = calling("asked", [], api="openai")
META = Meta("i", "", "", 0.0, "m", api="openai")
MESSAGE = {"role": "assistant", "content": "", "refusal": None}
WEATHER = [
    {"id": f"call_{n}", "type": "function", "function": {"name": "get_weather", "arguments": f'{{"city":"{city}"}}'}}
    for n, city in enumerate(("Beijing", "Shanghai", "Canton"), 1)
]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("minimax_final", {"content": "Hello", "name": "MiniMax AI", "audio_content": ""}),
        ("perplexity", {"content": "The sky is"}),
        ("magistral", {"content": "Hello", "reasoning_content": "It's a greeting, I should return it"}),
        ("gemini_index0", {"tool_calls": WEATHER, "content": None}),
        ("neg_infinity", {"content": "No"}),
        ("early_stop", {"content": "Hello", "reasoning_content": "thinking"}),
    ],
)
def test_odd_servers_give_one_right_message(name, message):
    events = [event for batch in decode([recorded(name)], OPENAI)[0] for event in batch]
    frames = [frame for event in events for frame in event.frames]
    chunks = [json.loads(frame, parse_constant=pytest.fail) for frame in frames]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert not any("message" in choice for chunk in chunks for choice in chunk["choices"])
    whole = assemble(frames, META, events[-1].end)
    assert whole["choices"][0]["message"] == MESSAGE | message


def test_a_call_of_which_each_piece_has_another_id_is_one_call():  # older vLLM
    def piece(id, name, arguments):
        return [{"index": 0, "id": id, "function": {"name": name, "arguments": arguments}}]

    deltas = [{"tool_calls": piece("a", "f", "{")}, {"tool_calls": piece("b", None, "}")}]
    body = b"".join(b"data: %s\n\n" % json.dumps({"choices": [{"delta": one}]}).encode() for one in deltas)
    ((*frames, done),) = decode([body + b"data: [DONE]\n\n"], OPENAI)[0]
    whole = assemble([frame for event in (*frames, done) for frame in event.frames], META, done.end)
    (call,) = whole["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "a", "function": {"name": "f", "arguments": "{}"}}


def chunk(index, text, finish_reason=None, **more):
    choice = {"index": index, "delta": {"content": text} if text else {}, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice], **more}).encode()


@pytest.mark.parametrize(
    ("came", "finished"),
    [
        ([chunk(0, "a"), chunk(1, "b"), chunk(0, "", "stop")], False),
        ([chunk(0, "a"), chunk(0, "", "stop")], False),  # the other one has not begun
        ([chunk(0, "a", "stop"), chunk(1, "b"), chunk(1, "", "length")], True),
        ([chunk(0, "", "stop"), chunk(1, "b", "stop")], False),  # the first may begin yet
        ([chunk(0, "", "stop"), chunk(1, "", "stop"), b'{"choices":[],"usage":{"prompt_tokens":1}}'], True),
        ([chunk(0, "a", "stop"), chunk(1, "b", "stop"), chunk(1, "and on")], False),
    ],
)
def test_an_answer_is_over_when_each_choice_is(came, finished):
    made = decoder(calling("asked", [], {"n": 2}, api="openai"))
    for payload in came:
        made.feed(payload)
    assert made.finished == finished


@pytest.mark.parametrize("options", [{"n": 2}, {"prompt": ["a", "b"]}])
def test_a_cut_second_choice_is_no_answer(options):
    call = calling("asked", [], options, api="completions" if "prompt" in options else "openai")
    first = b"data: %s\n\ndata: %s\n\n" % (chunk(0, "a", "stop"), chunk(1, "it is c"))
    batches, error = decode([first], call)
    assert error is not None and error.code == "upstream_broke"
    assert [(event.choice, event.text) for event in batches[0]] == [(0, "a"), (1, "it is c")]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"error_code": 336006, "error_msg": "the role is odd", "id": "as-abc"}, "the role is odd"),
        ({"error": {"message": "The engine is away", "code": 500}}, "The engine is away"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"id": "x", "choices": [], "answer": 42}, '"answer": 42'),
    ],
)
def test_a_document_that_is_no_answer_is_a_failure_and_another_may_be_asked(document, says):
    with pytest.raises(UpstreamError, match=says) as caught:
        decoder(CALL).feed(json.dumps(document).encode(), "document")
    assert (caught.value.code, caught.value.elsewhere) == ("upstream_broke", True)


def recorded(name):
    return (WIRE / "openai" / f"{name}.sse").read_bytes()


@pytest.mark.parametrize("type", ["message", "document"])
def test_a_payload_of_a_million_empty_lists_is_refused_before_python_makes_objects_of_it(type):
    payload = b'{"choices":[{"message":{"content":"a"}}],"x":[%b0]}' % (b"[]," * 1_000_000)
    with pytest.raises(UpstreamError) as caught:
        decoder(CALL).feed(payload, type)
    assert caught.value.code == "upstream_protocol"
