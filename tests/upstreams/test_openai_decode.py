"""What is true of the decoder of chat completions beside its recorded answers: see test_recorded.py."""

from millstream.events import Call
from millstream.upstreams import answers
from millstream.upstreams.completion import Decoder
from tests.upstreams.recorded import CALL, WIRE, Recorded
from tests.upstreams.recorded import decode as decoded


def decode(pieces, call=CALL):
    return decoded(pieces, Decoder(call, "test"))


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
    batches, _ = decode([data], Call("asked", [], api="openai"))
    *frames, done = batches[0]
    assert b"".join(b"data: %s\n\n" % event.frame for event in frames) + b"data: [DONE]\n\n" == data
    assert (done.type, done.end.usage.output) == ("done", 15)


def test_a_whole_answer_without_a_stream():
    body = b'{"model":"m","choices":[{"message":{"content":"all"},"finish_reason":null}],"usage":{"prompt_tokens":1}}'
    source = answers.Sniffed()
    (batch,) = answers.Flow(Recorded(body[:30], body[30:]), source, Decoder(CALL, "test"), "test").batches()
    assert [event.text for event in batch] == ["all", ""]
    assert batch[-1].end.finish_reason == "stop"


def recorded(name):
    return (WIRE / "openai" / f"{name}.sse").read_bytes()
