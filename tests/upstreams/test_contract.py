"""What every adapter promises, tried with every adapter, through every door: see contracts.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from millstream.errors import UpstreamError
from millstream.events import Usage
from tests.calling import calling
from tests.upstreams.contracts import CONNECTED, DOORS, Demo, End, Fail, Refused, Text, Thought
from tests.upstreams.fake import CLOSE, HOLD, WAIT

ROOT = Path(__file__).parents[2]
MEGABYTE = [Text(f"{n:07d} 你好 👋🏽 " * 40) for n in range(1000)]

ANSWERS = {
    "normal": [Text("Hel"), Text("lo"), Text("!"), End()],
    "unicode": [Text("Ünï 你好 "), Text("👩‍👩‍👧"), Text("\u2028\u0085\x0b\x0c "), Text('"\\\n'), End()],
    "reasoning": [Thought("So, "), Thought("two and two."), Text("Four"), Text("."), End()],
    "refusal": [Refused("I can't help with that.")],
    "one chunk": [Text("Everything at once."), End()],
    "a megabyte": [*MEGABYTE, End()],
}
BROKEN = {
    "cut in the middle": [Text("Hel"), Text("lo"), CLOSE],
    "cut before the first token": [CLOSE],
    "error before the first token": [Fail()],
    "error after a token": [Text("Hel"), Fail()],
}


def every(cases):
    """Each door with each of its APIs and each case that it knows."""
    return [
        pytest.param(name, api, steps, id=f"{name}-{api}-{case}")
        for name, door in DOORS.items()
        for api in door.apis
        for case, steps in cases.items()
        if case not in door.lacks
    ]


@pytest.fixture
def door(request):
    made = []

    def make(name):
        made.append(DOORS[name]())
        return made[-1]

    yield make
    for one in made:
        one.close()


def question(model, api):
    if api == "completions":
        return calling(model, [], {"prompt": "Hi"}, api=api)
    return calling(model, [{"role": "user", "content": "Hi"}], api=api)


def ask(door, api, keep):
    """Answers and thoughts as they come, which `keep` takes; gives the `done`."""
    done = None
    accepted, *batches = list_until_failure(door.upstream().stream(question(door.model, api)), keep)
    assert accepted == []
    for batch in batches:
        assert batch
        done = batch[-1]
    return done


def list_until_failure(stream, keep):
    for batch in stream:
        for event in batch:
            assert event.n == 0
            if event.type != "done":
                keep[event.type == "reasoning"] += event.text
        yield batch


@pytest.mark.parametrize(("name", "api", "steps"), every(ANSWERS))
def test_an_answer_is_whole_and_ends_with_done(door, name, api, steps):
    one, keep = door(name), ["", ""]
    one.play(*steps, pieces=0 if len(steps) > 100 else 7)
    done = ask(one, api, keep)
    assert tuple(keep) == one.texts(steps)
    assert (done.type, done.end.upstream) == ("done", "door")
    assert done.end.finish_reason == (one.refused if isinstance(steps[-1], Refused) else "stop")
    if isinstance(steps[-1], End) and not isinstance(one, Demo):
        assert done.end.usage == Usage(5, 9)


@pytest.mark.parametrize(("name", "api", "steps"), every(BROKEN))
def test_what_came_is_given_before_the_error(door, name, api, steps):
    one, keep = door(name), ["", ""]
    one.play(*steps)
    with pytest.raises(UpstreamError) as caught:
        ask(one, api, keep)
    assert (caught.value.code, caught.value.paid) == ("upstream_broke", True)
    assert '"door"' in caught.value.message
    assert tuple(keep) == one.texts(steps)


@pytest.mark.parametrize("name", DOORS)
def test_a_wrong_key_is_named_and_not_shown(door, name):
    one = door(name)
    one.refuse("401 Unauthorized", f"Incorrect API key provided: {one.key}")
    with pytest.raises(UpstreamError) as caught:
        ask(one, "chat", ["", ""])
    assert (caught.value.code, caught.value.status) == ("upstream_auth", 502)
    assert caught.value.elsewhere
    assert one.key not in str(caught.value)


@pytest.mark.parametrize("name", CONNECTED)
@pytest.mark.parametrize(
    ("status", "code"),
    [("429 Too Many Requests", "upstream_limited"), ("503 Service Unavailable", "upstream_refused")],
)
def test_a_busy_upstream_was_not_paid_and_its_wait_is_known(door, name, status, code):
    one = door(name)
    one.refuse(status, "Slow down", "Retry-After: 7")
    with pytest.raises(UpstreamError) as caught:
        ask(one, "chat", ["", ""])
    assert (caught.value.code, caught.value.paid, caught.value.retry_after) == (code, False, 7)


@pytest.mark.parametrize("name", CONNECTED)
@pytest.mark.parametrize("status", ["400 Bad Request", "500 Internal Server Error"])
def test_another_refusal_is_not_to_be_asked_again(door, name, status):
    one = door(name)
    one.refuse(status, "Something is wrong")
    with pytest.raises(UpstreamError) as caught:
        ask(one, "chat", ["", ""])
    code = "bad_request" if status.startswith("400") else "upstream_refused"
    assert (caught.value.code, caught.value.paid, caught.value.elsewhere) == (code, True, False)
    assert "Something is wrong" in caught.value.message


@pytest.mark.parametrize("name", CONNECTED)
def test_tokens_come_before_a_silence_and_who_leaves_in_it_is_seen(door, name):
    one, keep = door(name), ["", ""]
    one.play(Text("Hello"), HOLD)
    stream = one.upstream().stream(question(one.model, one.apis[0]))
    batches = list_until_failure(stream, keep)
    while keep != ["Hello", ""]:
        next(batches)
    stream.close()
    assert one.left.wait(WAIT)


def test_a_killed_greenlet_closes_the_connection_in_every_phase():
    run = subprocess.run(
        [sys.executable, "-m", "gevent.monkey", "--module", "tests.upstreams.leave_contract"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == 3 * len(CONNECTED)


@pytest.mark.system  # for its time
def test_every_answer_may_be_poured_from_the_event_loop():
    run = subprocess.run(
        [sys.executable, "-m", "gevent.monkey", "--module", "tests.upstreams.pour_contract"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr
    # Those over HTTP.
    assert run.stdout.split() == [
        "TLS",
        "anthropic",
        "azure",
        "completions",
        "legacy",
        "llama.cpp",
        "ollama",
        "openai",
        "responses",
    ]
