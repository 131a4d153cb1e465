"""A question that is put once more as the complaint says."""

import json

import pytest

from millstream.errors import UpstreamError
from millstream.upstreams.anthropic import Anthropic
from millstream.upstreams.concessions import AGAIN, Concessions
from millstream.upstreams.ollama import Ollama
from millstream.upstreams.openai import OpenAI
from millstream.upstreams.refusals import Refused
from tests.calling import calling
from tests.upstreams.fake import ANSWER, failure, whole


def said(message, param=None):
    return whole("400 Bad Request", json.dumps({"error": {"message": message, "param": param}}).encode())


USAGE = said("Unrecognized request argument: stream_options")
TOKENS = said("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_tokens")
BOTH = said("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
VERIFY = said("Your organization must be verified to stream this model.", "stream")
HI = [{"role": "user", "content": "Hi"}]
EFFORT = said("Unrecognized request argument supplied: reasoning_effort")
COMPLAINT = said("no")
SAID = whole(body=b'{"type":"message","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn"}')
WHOLE = whole(body=b'{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}')

# The complaint, the options of the question, what differs in the second one (None: it isn't there), its answer.
KINDS = {
    "no usage": (USAGE, {}, {"stream_options": None}, ANSWER),
    "max_completion_tokens": (TOKENS, {"max_tokens": 9}, {"max_tokens": None, "max_completion_tokens": 9}, ANSWER),
    "the smaller limit": (
        TOKENS,
        {"max_tokens": 9, "max_completion_tokens": 20},
        {"max_tokens": None, "max_completion_tokens": 9},
        ANSWER,
    ),
    "temperature": (BOTH, {"temperature": 0.3, "top_p": 0.5}, {"top_p": None, "temperature": 0.3}, ANSWER),
    "top_p": (BOTH, {"temperature": 1, "top_p": 0.5}, {"temperature": None, "top_p": 0.5}, ANSWER),
    "no effort": (
        said("Unrecognized request argument supplied: reasoning_effort"),
        {"reasoning_effort": "high"},
        {"reasoning_effort": None},
        ANSWER,
    ),
    "unstreamed": (VERIFY, {}, {"stream": False, "stream_options": None}, WHOLE),
}


def asked(server):
    return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in server.requests]


def ask(upstream, model="m", options=()):
    events = [event for batch in upstream.stream(calling(model, HI, options)) for event in batch]
    assert "".join(event.text for event in events) == "Hello"


@pytest.mark.parametrize(("complaint", "options", "differs", "answer"), KINDS.values(), ids=KINDS)
def test_a_complaint_is_heard_once_and_remembered_for_the_model(fake, complaint, options, differs, answer):
    server = fake(complaint, answer, answer, complaint, answer)
    upstream = OpenAI(server.settings())
    for model in ("m", "m", "other"):
        ask(upstream, model=model, options=options)
    first, second, third, other, _ = asked(server)
    assert {name: second.get(name) for name in differs} == differs
    assert (second, third) == (third, second)
    assert {**first, "model": "other"} == other


ODD = {"thinking": {"type": "adaptive"}, "output_config": {"effort": []}}  # another maker's fields: of any type


@pytest.mark.parametrize(
    ("complaint", "options"),
    [
        ("effort is not supported", {"output_config": "x"}),
        ("adaptive is not a type of thinking", ODD | {"max_tokens": 2060}),
        ("adaptive thinking is not supported", ODD | {"max_tokens": "many"}),
        ("this model does not support thinking", {"thinking": "x", "output_config": "x"}),
        ("use max_completion_tokens", {"max_tokens": 9, "max_completion_tokens": "x"}),
    ],
)
def test_a_field_of_any_type_survives_each_complaint(complaint, options):
    def send(question):
        if question == options:
            raise Refused(400, {}, complaint.encode())
        return question

    assert Concessions().ask(options, "m", send) != options


def test_what_did_not_help_is_not_remembered(fake):
    odd = said("Unrecognized request argument: include_usage")  # a field of this one client
    server = fake(odd, odd, ANSWER)
    upstream = OpenAI(server.settings())
    assert failure(upstream).code == "bad_request"
    ask(upstream)
    assert ["stream_options" in one for one in asked(server)] == [True, False, True]


def test_one_clients_odd_stream_options_cost_nobody_the_usage(fake):
    server = fake(said("stream_options: unknown key x"), ANSWER, ANSWER)
    upstream = OpenAI(server.settings())
    for options in ({"x": 1}, {}):
        ask(upstream, options={"stream_options": options})
    usage = {"include_usage": True}
    assert [one["stream_options"] for one in asked(server)] == [{"x": 1} | usage, usage, usage]


def test_anthropic_hears_the_same(fake):
    server = fake(BOTH, COMPLAINT)
    stream = Anthropic(server.settings()).stream(calling("m", HI, {"temperature": 0.3, "top_p": 0.5}))
    with pytest.raises(UpstreamError):
        next(stream)
    assert ["top_p" in one for one in asked(server)] == [True, False]


NEWER = said("thinking: Input tag 'adaptive' does not match any of the expected tags: 'disabled', 'enabled'")
NEVER = said("'claude-3-5-haiku-20241022' does not support thinking.")
NO_EFFORT = said("This model does not support the effort parameter.")


@pytest.mark.parametrize(
    ("complaints", "thinking", "effort"),
    [
        ((), ["adaptive"], ["high"]),
        ((NEWER,), ["adaptive", "enabled"], ["high", None]),
        ((NO_EFFORT,), ["adaptive", "enabled"], ["high", None]),
        ((NEWER, NEVER), ["adaptive", "enabled", None], ["high", None, None]),
        ((NEVER,), ["adaptive", None], ["high", None]),
    ],
)
def test_an_effort_is_asked_for_in_the_words_that_the_model_has(fake, complaints, thinking, effort):
    server = fake(*complaints, SAID, SAID)
    upstream = Anthropic(server.settings())
    for _ in range(2):
        ask(upstream, options={"reasoning_effort": "high", "max_tokens": 2060})
    *tried, last = asked(server)
    assert [one.get("thinking", {}).get("type") for one in tried] == thinking
    assert [one.get("output_config", {}).get("effort") for one in tried] == effort
    assert (last, last["max_tokens"]) == (tried[-1], 2060)
    assert last.get("thinking", {}).get("budget_tokens") in (None, 1030)


def test_a_model_of_ollamas_that_can_not_think_is_asked_even_so(fake):
    answer = whole(body=b'{"message":{"content":"Hello"},"done":true,"done_reason":"stop"}\n')
    server = fake(whole("400 Bad Request", b'{"error":"\\"llama3\\" does not support thinking"}'), answer)
    ask(Ollama(server.settings()), options={"reasoning_effort": "high"})
    assert [one.get("think") for one in asked(server)] == ["high", None]


def test_a_concession_is_forgotten_after_a_while():
    now = [0.0]
    concessions, sent = Concessions(clock=lambda: now[0]), []

    def send(question):
        sent.append("stream_options" in question)
        if sent[-1]:
            raise Refused(400, {}, b"no stream_options")

    for moment in (0.0, AGAIN - 1, AGAIN + 1):
        now[0] = moment
        concessions.ask({"stream_options": {"include_usage": True}}, "m", send)
    assert sent == [True, False, False, True, False]


@pytest.mark.parametrize(
    ("says", "most"),
    [
        (
            "max_tokens is too large: 32000. This model supports at most 16384 completion tokens.",
            16384,
        ),
        ("max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for claude-3-5-haiku", 8192),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8,192]", 8192),
        ("`max_tokens` must be less than or equal to `8192`, the maximum value for this model", 8192),
        (
            "This model's maximum context length is 4096 tokens. However, you requested 32010 tokens "
            "(10 in the messages, 32000 in the completion). Please reduce the length.",
            4086,
        ),
        ("max_tokens has to be a positive number", None),
        (f"max_tokens has to be less than {'9' * 5000}", None),
    ],
)
def test_no_more_tokens_are_asked_for_than_the_model_has(fake, says, most):
    server = fake(said(says), ANSWER)
    upstream = OpenAI(server.settings())
    if most is None:
        with pytest.raises(UpstreamError):
            ask(upstream, options={"max_tokens": 32000})
        return
    ask(upstream, options={"max_tokens": 32000})
    assert [question["max_tokens"] for question in asked(server)] == [32000, most]
