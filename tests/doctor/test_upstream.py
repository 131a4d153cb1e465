"""`flask doctor --upstream`: the verdicts on an upstream that is well, and on others."""

from __future__ import annotations

import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from millstream.doctor.upstream import examine_upstream
from millstream.settings import Secret, SettingError, Settings, UpstreamSettings


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


class Provider(BaseHTTPRequestHandler):
    """Its clock is slow by `late` s, and it says all in one piece, with no usage."""

    late = 0.0

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(time.time() - self.late, usegmt=True)

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        chunk = b'data: {"choices":[{"index":0,"delta":{"content":"one "},"finish_reason":null}]}\n\n'
        end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        self.wfile.write(chunk * 20 + end)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("late", "well"), [(0.0, True), (400.0, False)])
def test_the_clock_bursts_and_missing_usage_are_told(monkeypatch, late, well):
    monkeypatch.setattr(Provider, "late", late)
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as provider:
        thread = Thread(target=provider.serve_forever)
        thread.start()
        table = UpstreamSettings(
            "p", "openai", base_url=f"http://127.0.0.1:{provider.server_port}/v1", api_key=Secret("k"), models=("m",)
        )
        verdicts = {verdict.of: verdict for verdict in examine_upstream("p", Settings(upstreams=(table,)))}
        provider.shutdown()
        thread.join()
    assert verdicts["clock"].well is well
    assert ("400 s ahead" in verdicts["clock"].says or "401 s ahead" in verdicts["clock"].says) is not well
    assert (verdicts["rate"].well, "something buffers" in verdicts["rate"].says) == (False, True)
    assert (verdicts["usage"].well, "estimate" in verdicts["usage"].says) == (False, True)
