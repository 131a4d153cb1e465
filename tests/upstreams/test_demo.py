import itertools

import pytest

from millstream.errors import MillstreamError, UpstreamError
from millstream.settings import SettingError, UpstreamSettings
from millstream.upstreams import demo
from millstream.upstreams.demo import Demo
from millstream.upstreams.demo_text import TEXT
from tests.calling import calling

FAST = "demo?pace=0"


def events(model, **extra):
    upstream = Demo(UpstreamSettings("demo", "demo", extra=extra))
    return [
        event for batch in upstream.stream(calling(model, [{"role": "user", "content": "Hi"}])) for event in batch
    ]


class Clock:
    """Stands for the module `time`: sleeping takes none, and is written down."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(demo, "time", clock)
    return clock


def test_it_says_its_whole_text_and_counts_its_tokens():
    *tokens, done = events(FAST)
    assert "".join(event.text for event in tokens) == "".join(TEXT)
    assert (done.type, done.end.finish_reason, done.end.model) == ("done", "stop", "demo")
    assert (done.end.usage.output, done.end.usage.source) == (len(TEXT), "upstream")


def test_the_text_has_what_breaks_careless_streams():
    text = "".join(TEXT)
    for part in ("你好", "Привет", "😀", "\r\n", ",\r", "\u2028", "\ndata: x\n", "[DONE]", "<script>", "```"):
        assert part in text
    assert 200 < len(TEXT) < 600


def test_thoughts_come_first():
    *tokens, done = events(FAST + "&reasoning=2&tokens=3")
    assert [event.type for event in tokens] == ["reasoning"] * 2 + ["message"] * 3
    assert done.end.usage.output == 5


def test_a_longer_answer_begins_again():
    assert len(events(FAST + f"&tokens={2 * len(TEXT)}")) == 2 * len(TEXT) + 1


@pytest.mark.parametrize(
    ("query", "seconds"),
    [("pace=10&tokens=11", 1), ("pace=10&tokens=1&hold=5", 5), ("pace=0&tokens=5&slow_headers=2&hold_last=3", 5)],
)
def test_the_pace_and_the_waits_are_kept(clock, query, seconds):
    events("demo?" + query)
    assert clock.now == pytest.approx(seconds)


def test_others_run_between_two_tokens(monkeypatch, clock):
    slept = []
    monkeypatch.setattr(clock, "sleep", slept.append)
    events(FAST + "&tokens=7")
    assert len(slept) >= 7


def test_the_pace_is_a_setting_too(clock):
    events("demo", pace=100, tokens=101)
    assert clock.now == pytest.approx(1)


@pytest.mark.parametrize(("fault", "code"), [("refuse", "upstream_refused"), ("auth", "upstream_auth")])
def test_a_refusal_comes_before_it_accepts(fault, code):
    with pytest.raises(UpstreamError) as caught:
        next(Demo(UpstreamSettings("demo", "demo")).stream(calling(f"demo?fault={fault}", [])))
    assert (caught.value.code, caught.value.paid) == (code, False)


@pytest.mark.parametrize(("after", "came"), [("4", 4), ("0", 0), ("99", 6)])
@pytest.mark.parametrize("fault", ["cut", "error"])
def test_a_fault_comes_after_so_many_tokens(fault, after, came):
    got = []
    with pytest.raises(UpstreamError, match="as it was asked to") as caught:
        for batch in Demo(UpstreamSettings("demo", "demo")).stream(
            calling(f"{FAST}&tokens=6&fault={fault}&after={after}", [])
        ):
            got += batch
    assert (len(got), caught.value.code) == (came, "upstream_broke")


def test_silence_never_ends(monkeypatch, clock):
    stream = Demo(UpstreamSettings("demo", "demo")).stream(calling(FAST + "&fault=silence&after=2", []))
    assert len(list(itertools.islice(stream, 3))) == 3
    monkeypatch.setattr(clock, "sleep", lambda seconds: (_ for _ in ()).throw(GeneratorExit))
    with pytest.raises(GeneratorExit):
        next(stream)


WRONG = [
    "speed=3",
    "pace=fast",
    "pace=-1",
    "pace=nan",
    "pace=inf",
    "tokens=1.5",
    "tokens=99999999",
    "fault=boom",
    "x",
]


@pytest.mark.parametrize("query", WRONG)
def test_a_wrong_parameter_gets_the_list_of_the_right_ones(query):
    with pytest.raises(MillstreamError) as caught:
        events(f"demo?{query}")
    assert (caught.value.code, caught.value.param) == ("bad_field", "model")
    for word in ("pace", "slow_headers", "silence", query.partition("=")[0]):
        assert word in caught.value.message


@pytest.mark.parametrize("extra", [{"speed": 3}, {"pace": "x"}, {"fault": "boom"}])
def test_a_wrong_setting_is_named(extra):
    with pytest.raises(SettingError, match=r"upstreams\.demo: .*; allowed are pace"):
        Demo(UpstreamSettings("demo", "demo", extra=extra))
