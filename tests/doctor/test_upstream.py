"""`flask doctor --upstream`: the verdicts on an upstream that is well, and on others."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import requests

from millstream.doctor import upstream as doctor
from millstream.doctor.upstream import Verdict, examine_upstream
from millstream.settings import Secret, SettingError, Settings, UpstreamSettings
from millstream.upstreams import Deadlines
from tests.upstreams.contracts import DOORS, KEY
from tests.upstreams.spark_server import API_SECRET, SparkServer, frame


def demo(**extra: object) -> Settings:
    limits = {"first_token": 0.5, "silence": 0.5}
    return Settings(upstreams=(UpstreamSettings("d", "demo", models=("demo",), extra=extra, **limits),))


def test_an_upstream_that_is_well():
    verdicts = examine_upstream("d", demo(pace=200, tokens=20))
    assert [(verdict.of, verdict.well) for verdict in verdicts] == [
        ("key", True),
        ("first token", True),
        ("rate", True),
        ("usage", True),
    ]
    assert verdicts[-1].says == "told: 13 + 20 tokens"


@pytest.mark.parametrize(
    ("extra", "of", "says"),
    [
        ({"fault": "auth"}, "key", "upstream_auth"),
        ({"fault": "refuse"}, "answer", "upstream_refused"),
        ({"hold": 60}, "answer", "first_token_timeout"),
        ({"pace": 1000, "fault": "silence", "after": 3}, "answer", "silence_timeout"),
        ({"pace": 1000, "fault": "cut", "after": 3}, "answer", "upstream_broke"),
    ],
)
def test_what_is_wrong_is_the_last_verdict(extra, of, says):
    last = examine_upstream("d", demo(**extra))[-1]
    assert (last.of, last.well, says in last.says) == (of, False, True)


def test_an_unknown_upstream_names_those_there_are():
    with pytest.raises(SettingError, match="there is no upstream 'x'; there is d"):
        examine_upstream("x", demo())


asked: list[dict[str, object]] = []  # by the doctor, of all providers


class Provider(BaseHTTPRequestHandler):
    """Its clock is slow by `late` s. It asks for KEY in the header `asks`, and says each of `pieces`."""

    late = 0.0
    asks = ("Authorization", f"Bearer {KEY}")
    pieces: tuple[bytes, ...] = ()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(time.time() - self.late, usegmt=True)

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def do_POST(self) -> None:
        asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        taken = self.headers.get(self.asks[0]) == self.asks[1]
        self.send_response(200 if taken else 401)
        self.send_header("Content-Type", "text/event-stream" if taken else "application/json")
        self.end_headers()
        for piece in self.pieces if taken else (b'{"error":{"message":"No such key"}}',):
            self.wfile.write(piece)
            time.sleep(0.01)

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"data":[{"id":"text-embedding-3-small"},{"id":"first"},{"id":"second"}]}')

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def provider(**says: object) -> Iterator[str]:
    """Its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Said", (Provider,), says)) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def examined(table: UpstreamSettings) -> dict[str, Verdict]:
    return {verdict.of: verdict for verdict in examine_upstream(table.name, Settings(upstreams=(table,)))}


@pytest.mark.parametrize(("late", "well"), [(0.0, True), (400.0, False)])
def test_the_clock_bursts_and_missing_usage_are_told(late, well):
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"one "},"finish_reason":null}]}\n\n'
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    with provider(late=late, pieces=(chunk * 20 + end,)) as address:
        verdicts = examined(UpstreamSettings("p", "openai", ("m",), f"{address}/v1", Secret(KEY)))
    assert verdicts["clock"].well is well
    assert ("400 s ahead" in verdicts["clock"].says or "401 s ahead" in verdicts["clock"].says) is not well
    assert (verdicts["rate"].well, "something buffers" in verdicts["rate"].says) == (False, True)
    assert (verdicts["usage"].well, "estimate" in verdicts["usage"].says) == (False, True)


@pytest.mark.parametrize(("default", "model"), [("", "first"), ("second", "second"), ("of-another", "first")])
def test_an_upstream_without_models_is_asked_for_one_of_its_list(default, model):
    with provider() as address:
        table = UpstreamSettings("p", "openai", base_url=f"{address}/v1", api_key=Secret(KEY))
        examine_upstream("p", Settings(upstreams=(table,), model=default))
    assert asked[-1]["model"] == model


HEADERS = {
    "anthropic": ("x-api-key", KEY),
    "azure": ("api-key", KEY),
    "legacy": ("Authorization", f"Bearer {KEY}"),
    "openai": ("Authorization", f"Bearer {KEY}"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_each_kind_is_tried_as_its_provider_has_it(name):
    door = DOORS[name]()
    said = [door.opening] * bool(door.opening) + [door.text(f"{n} ") for n in range(20)] + [door.end()]
    with provider(asks=HEADERS[name], pieces=tuple(said)) as address:
        for key, well in ((KEY, True), ("another", False)):
            verdicts = examined(UpstreamSettings("p", door.kind, ("m",), address, Secret(key)))
            assert (verdicts["clock"].well, verdicts["key"].well) == (True, well), verdicts
            if well:
                assert list(verdicts) == ["clock", "key", "first token", "rate", "usage"]
                # A busy machine may get several pieces at once.
                assert all(verdict.well for verdict in verdicts.values() if verdict.of != "rate"), verdicts
                assert verdicts["usage"].says == "told: 5 + 9 tokens"
            else:
                assert "(HTTP 401): No such key. Check its api_key" in verdicts["key"].says
                assert "another" not in verdicts["key"].says
    door.close()


@pytest.mark.parametrize(
    ("skew", "secret", "clock", "key"),
    [
        (0, API_SECRET, "right", "taken"),
        (400, API_SECRET, "400 s behind", "this machine's clock is 400 s behind"),
        (-400, API_SECRET, "400 s ahead", "this machine's clock is 400 s ahead"),
        (0, "wrong", "right", "Check the api_secret"),
    ],
)
def test_spark_s_signature_needs_the_secret_and_a_clock_that_is_right(skew, secret, clock, key):
    spark = SparkServer([frame("one ", 0), 0.01, frame("two "), 0.01, frame("", 2, usage=(5, 9))], skew=skew)
    verdicts = examined(spark.settings(extra={"api_secret": Secret(secret)}))
    spark.close()
    well = key == "taken"
    assert (verdicts["clock"].well, verdicts["key"].well) == (skew == 0, well)
    assert clock in verdicts["clock"].says.replace("401", "400").replace("399", "400")
    assert key in verdicts["key"].says.replace("401 s", "400 s").replace("399 s", "400 s")
    assert ("usage" in verdicts) is well


@pytest.mark.parametrize("kind", ["anthropic", "spark"])
def test_the_clock_is_compared_where_the_settings_name_no_address(monkeypatch, kind):
    asked = []
    monkeypatch.setattr(requests.Session, "head", lambda self, url, **_: asked.append(url) or requests.Response())
    monkeypatch.setattr(doctor, "build", lambda *_: Silent())
    table = UpstreamSettings("p", kind, ("m",), api_key=Secret(KEY))
    assert examined(table)["clock"].says.startswith("not compared")
    assert asked == [f"https://{doctor.ADDRESSES[kind].partition('//')[2]}"]


class Silent:
    models = ("m",)
    lists = False
    name = "p"
    deadlines = Deadlines()

    def stream(self, call):
        yield []
