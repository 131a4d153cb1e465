"""Recorded answers, decoded: `tests/wire/KIND/NAME.sse` means what `NAME.json` says, however it is cut."""

import json
import re
from itertools import chain

import pytest

from millstream.dialects.blocks import Blocks
from millstream.dialects.chat.reader import Chunks
from millstream.dialects.document import Document
from millstream.dialects.messages import answer as messages
from millstream.dialects.messages.reader import Events
from millstream.dialects.messages.whole import whole as assembled
from millstream.dialects.ollama import answer as ollama
from millstream.dialects.ollama.reader import Lines
from millstream.dialects.responses import reader as responses
from millstream.dialects.responses import response as written
from millstream.dialects.responses.answer import Writer as ResponsesWriter
from millstream.dialects.responses.ids import theirs
from millstream.upstreams.decoder import Decoder
from tests.dialects.answers import META, sse, write
from tests.upstreams.recorded import CALL, SOURCES, cases, decode, seen, wanted

READERS = {
    "openai": Chunks,
    "azure": Chunks,
    "legacy": Chunks,
    "anthropic": Events,
    "ollama": Lines,
    "responses": responses.Events,
}
LEAST = {"openai": 50, "azure": 8, "legacy": 8, "anthropic": 38, "ollama": 7, "responses": 17}
CASES = {f"{kind}-{case.stem}": (kind, case) for kind in READERS for case in cases(kind)}
LAST = {"anthropic": b'data: {"type":"message_stop"}'}
ENDED = {
    f"{kind}-{case.stem}": (kind, case)
    for kind, case in CASES.values()
    if case.read_bytes().rstrip().endswith(LAST.get(kind, b"data: [DONE]"))
}

recorded = pytest.mark.parametrize(("kind", "case"), CASES.values(), ids=CASES)


def check(kind, case, *pieces):
    want, says, options = wanted(case)
    got, message = seen(pieces, Decoder(READERS[kind](**options), CALL, "test"), SOURCES[case.suffix])
    assert got == want
    assert says in message


@pytest.mark.parametrize(
    ("kind", "least"),
    [("openai", 50), ("azure", 8), ("legacy", 8), ("anthropic", 38), ("ollama", 7), ("responses", 17)],
)
def test_there_are_cases(kind, least):
    assert len(cases(kind)) >= least


@recorded
def test_an_answer_in_one_piece(kind, case):
    check(kind, case, case.read_bytes())


@recorded
def test_an_answer_byte_by_byte(kind, case):
    data = case.read_bytes()
    check(kind, case, *(data[at : at + 1] for at in range(len(data))))


@pytest.mark.system  # for its time: 131,549 cuts
@recorded
def test_an_answer_cut_in_two_at_every_byte(kind, case):
    data = case.read_bytes()
    for at in range(1, min(len(data), 2000)):
        check(kind, case, data[:at], data[at:])


@pytest.mark.parametrize(("kind", "case"), ENDED.values(), ids=ENDED)
def test_what_comes_behind_the_end_is_ignored(kind, case):
    data = case.read_bytes()
    check(kind, case, data + b"\n\n" + data)


PASSED = {"anthropic": messages.Writer, "ollama": ollama.Writer}
END = {"anthropic": b"\n\n", "ollama": b"\n"}
CITED = [{"type": "char_location", "cited_text": "not ours"}]
WHOLE = [
    (kind, case)
    for kind in PASSED
    for case in cases(kind)
    if case.stem in ("text", "tools2", "reasoning", "recorded_mixed", "citations", "recorded_redacted")
]


@pytest.mark.parametrize(("kind", "case"), WHOLE, ids=lambda one: getattr(one, "stem", one))
def test_frames_pass_with_all_that_is_unknown_in_them(kind, case):
    """A client of the same dialect gets what the upstream said."""
    data = case.read_bytes().replace(b'"model":', b'"x_new":[1.50],"model":').strip() + END[kind]
    data = data.replace(b"event: message_delta", b'event: x_new\ndata: {"type":"x_new"}\n\nevent: message_delta')
    decoder = Decoder(READERS[kind](), CALL, "test", passing=True)
    batches, error = decode([data], decoder, SOURCES[case.suffix])
    events = [event for batch in batches for event in batch]
    assert error is None and b"x_new" in data
    assert write(PASSED[kind](META), events) == data
    if kind == "ollama":
        lines = [json.loads(line) for line in data.splitlines()]
        whole = ollama.whole(META, Blocks(META.id).whole(events), events[-1])
        assert whole == {**lines[-1], "message": whole["message"]}
        for field, empty in (("content", ""), ("thinking", ""), ("tool_calls", [])):
            pieces = chain.from_iterable(line["message"].get(field, empty) for line in lines)
            assert [*whole["message"].get(field, empty)] == [*pieces]


@pytest.mark.parametrize("case", [case for kind, case in WHOLE if kind == "anthropic"], ids=lambda case: case.stem)
def test_a_message_of_anthropics_is_whole_with_all_that_is_unknown_in_it(case):
    data = re.sub(rb'"model":', b'"x_new":[1.5],"model":', case.read_bytes())
    data = re.sub(rb'"usage": ?{', b'"usage":{"z":3,', data)
    batches, _ = decode([data], Decoder(Events(), CALL, "test", passing=True))
    events = [event for batch in batches for event in batch]
    own = Blocks(META.id).whole(events)
    said, neutral = assembled(META, own, events[-1]), messages.whole(META, own, events[-1])
    assert (said["x_new"], said["usage"]["z"], said["stop_reason"]) == ([1.5], 3, neutral["stop_reason"])
    known = [
        {name: block[name] for name in other}
        for block, other in zip(said["content"], neutral["content"], strict=True)
    ]
    assert known == neutral["content"]
    assert [block.get("citations") for block in said["content"]] == [
        CITED if case.stem == "citations" else None
    ] * len(known)


FROM_US = ("id", "created_at", *written.OURS)


def as_it_was(value):
    """With the upstream's own ids, and without what a response has from us."""
    if isinstance(value, list):
        return [as_it_was(item) for item in value]
    if not isinstance(value, dict):
        return value
    left = FROM_US if value.get("object") == "response" else ()
    return {
        name: theirs(item) if name in ("id", "item_id") else as_it_was(item)
        for name, item in value.items()
        if name not in left and name != "sequence_number"
    }


@pytest.mark.parametrize("case", ["text", "tools2", "reasoning", "rawreasoning", "refusal", "length", "unknown"])
def test_events_of_the_responses_api_pass_with_our_ids_and_numbers_alone(case):
    path = next(one for one in cases("responses") if one.stem == case)
    data = re.sub(rb'"(model|output_index)":', rb'"x_new": [1.5, "\\ud83d\\ude00"], "\1":', path.read_bytes())
    events = passing(data)
    whole = write(ResponsesWriter(META), events)
    assert write(ResponsesWriter(META), passing(*(data[at : at + 1] for at in range(len(data))))) == whole
    came, ours = ([one for _, one in sse(all_)] for all_ in (data, whole))
    assert [one["sequence_number"] for one in ours] == [*range(len(ours))]
    assert as_it_was(ours[2:]) == as_it_was([one for one in came[2:] if one["type"] != "keepalive"])
    last = ours[-1]["response"]
    assert written.whole(META, Blocks(META.id).whole(events), events[-1]) == last
    assert (last["id"], last["instructions"], last["store"]) == (f"resp_{META.id}", None, True)


def passing(*pieces):
    """The events that bring the upstream's own."""
    batches, error = decode(list(pieces), Decoder(responses.Events(), CALL, "test", passing=True))
    assert error is None
    return [event for batch in batches for event in batch]


DONE = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
RESPONSE = {"type": "response.completed", "response": {"object": "response", "status": "completed", "output": []}}
CREATED = {"type": "response.created", "sequence_number": 0}
# What says "abcd", and ends with these counts of the prompt's and of the answer's tokens.
COUNTED = {
    "openai": lambda asked, came: [
        {"choices": [{"index": 0, "delta": {"content": "abcd"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": asked, "completion_tokens": came}},
    ],
    "anthropic": lambda asked, came: [
        {"type": "message_start", "message": {"usage": {"input_tokens": asked}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "abcd"}},
        {**DONE, "usage": {"output_tokens": came}},
        {"type": "message_stop"},
    ],
    "responses": lambda asked, came: [
        CREATED,
        {"type": "response.output_text.delta", "item_id": "x", "delta": "abcd"},
        {**RESPONSE, "response": {**RESPONSE["response"], "usage": {"input_tokens": asked, "output_tokens": came}}},
    ],
    "ollama": lambda asked, came: [
        {"message": {"content": "abcd"}, "done": False},
        {"message": {}, "done": True, "prompt_eval_count": asked, "eval_count": came},
    ],
}
SUFFIX = {"ollama": ".ndjson"}


def body(kind, *events):
    line = "%s\n" if kind == "ollama" else "data: %s\n\n"
    return "".join(line % json.dumps(event) for event in events).encode()


@pytest.mark.parametrize("odd", [2**63, 2**70, -5, 1e308, float("inf"), float("nan"), "x", None, True, [1], {"a": 1}])
@pytest.mark.parametrize("kind", COUNTED)
def test_a_count_that_can_be_none_is_estimated_and_not_passed_on(kind, odd):
    for counts, usage in (((odd, odd), [6, 1]), ((3, odd), [3, 1]), ((odd, 9), [6, 9])):
        data = body(kind, *COUNTED[kind](*counts))
        decoder = Decoder(READERS[kind](), CALL, "test", passing=True)
        batches, error = decode([data], decoder, SOURCES[SUFFIX.get(kind, ".sse")])
        events = [event for batch in batches for event in batch]
        said = events[-1].end.usage
        assert (error, [said.input, said.output], said.source) == (None, usage, "estimated")
        passed = b"".join(frame for event in events for frame in event.frames)
        assert re.search(rb'_(tokens|count)": ?+(?!null|\d{1,10}[,}])', passed) is None
        assert re.search(rb"NaN|Infinity", passed) is None


ENDS = [
    # the last event, finish_reason or None where it is no end
    ({"type": "response.failed"}, None),
    ({"type": "response.failed", "response": {}}, None),
    ({"type": "response.completed", "response": {"status": "cancelled"}}, None),
    ({"object": "response", "status": "queued"}, None),
    ({"object": "response", "status": "in_progress"}, None),
    ({"object": "response", "status": "cancelled"}, None),
    ({"object": "response", "status": "incomplete"}, "length"),
    ({"type": "response.incomplete", "response": {}}, "length"),
    ({"type": "response.completed", "response": {"status": "incomplete"}}, "length"),
    ({"type": "response.completed", "response": {"status": "in_progress"}}, "stop"),  # a stale word
]


@pytest.mark.parametrize(("last", "reason"), ENDS)
def test_a_response_ends_well_only_where_it_says_so(last, reason):
    got, _ = seen([body("responses", last)], Decoder(responses.Events(), CALL, "test"))
    assert (got.get("finish_reason"), got.get("error")) == (reason, None if reason else "upstream_broke")


@pytest.mark.parametrize(
    "usage", [5, "x", None, [], {"prompt_tokens": None}, {"prompt_tokens": "x"}, {"total_tokens": 1e308}]
)
def test_a_document_passes_whatever_its_usage_is(usage):
    document = json.dumps({"data": [], "usage": usage}).encode()
    batches, error = decode([document], Decoder(Document(), CALL, "test", passing=True))
    (done,) = batches[-1]
    assert (error, done.frames, done.end.usage.source) == (None, (document,), "estimated")


SIGNED = {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s" * 90}}
HELD = {
    "pings": (Events, b'data: {"type":"ping"}\n\n'),
    "events that are new": (Events, b'data: {"type":"x_new","x":"%s"}\n\n' % (b"x" * 90)),
    "pieces of a signature": (Events, body("anthropic", SIGNED)),
    "pieces with text of a signature": (
        Events,
        body("anthropic", {**SIGNED, "delta": {**SIGNED["delta"], "text": "a"}}),
    ),
    "items": (
        responses.Events,
        body("responses", CREATED, {"type": "response.output_item.added", "item": {"id": "x"}}),
    ),
    "choices": (Chunks, body("openai", {"choices": [{"index": 9, "delta": {"content": ""}}]})),
    "calls": (Chunks, body("openai", {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 1}]}}]})),
    "lines": (Lines, b'{"message":{},"done":false}\n'),
}


@pytest.mark.parametrize(("reader", "event"), HELD.values(), ids=HELD)
def test_what_says_nothing_is_bounded_too(monkeypatch, reader, event):
    monkeypatch.setattr("millstream.upstreams.decoder.MOST", 1000)
    source = SOURCES[".ndjson" if reader is Lines else ".sse"]
    pieces = [event] * 100
    _, error = decode(pieces[:3], Decoder(reader(), CALL, "test", passing=True), source)
    assert error.code == "upstream_broke"  # cut
    _, error = decode(pieces, Decoder(reader(), CALL, "test", passing=True), source)
    assert error.code == "answer_too_long"
