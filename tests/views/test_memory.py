"""What a request has made goes with it, and not with the garbage collector: a question may have 20 MiB."""

from __future__ import annotations

import gc
import io
import json
import tracemalloc
from collections import Counter

import gevent
import pytest

from millstream.settings import UpstreamSettings
from tests.upstreams.fake import CHUNKED, HOLD, WAIT, Fake, chunk, event
from tests.views.doors import DOORS

MADE = ("Live", "Asker", "Bridge", "Follower", "Outlet", "Call", "Chain", "Client", "Response", "Question")
QUESTION = {"prompt": "Hi", "model": "demo?tokens=3"}
V1 = {"messages": [{"role": "user", "content": "Hi"}], "model": "demo?tokens=3", "stream": True}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *((f"/chat?format={format}", QUESTION) for format in ("sse", "text", "ndjson", "html", "json")),
        ("/chat", {**QUESTION, "model": "demo?fault=auth"}),
        *((path, {**V1, **body, "stream": stream}) for path, body in DOORS.items() for stream in (True, False)),
        ("/v1/responses", {**V1, "input": "Hi", "store": True}),
        ("/v1/responses", {**V1, "input": "Hi", "background": True, "stream": False}),
    ],
)
def test_nothing_of_a_request_is_left_when_it_is_over(app, client, path, body):
    def ask():
        with client.post(path, json=body) as response:
            assert response.data
        while app.extensions["millstream"].streams.live:  # in the background, perhaps
            gevent.sleep(0.01)

    ask()
    gc.collect()
    gc.disable()
    try:
        before = counted()
        for _ in range(3):
            ask()
        with gevent.Timeout(WAIT, AssertionError(f"more stays than {before}")):
            while any(number > before[name] for name, number in counted().items()):
                gevent.sleep(0.05)
    finally:
        gc.enable()


def counted():
    found = Counter(type(thing).__name__ for thing in gc.get_objects())
    return {name: found[name] for name in MADE}


LARGE = 4 << 20  # bytes of a question


class Coming(io.BytesIO):
    """A request's body that is forgotten when it was read."""

    def read(self, size=-1):
        body = super().read(size)
        if self.tell() == self.getbuffer().nbytes:
            self.truncate(0)
        return body


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/chat?format=json", None),
        *((path, {}) for path in DOORS if path != "/ui/chat"),  # which always streams
        ("/v1/responses", {"store": True}),
        ("/v1/responses", {"background": True}),
    ],
)
def test_a_question_that_was_sent_is_not_in_memory_while_its_whole_answer_is_waited_for(
    make_app, tmp_path, path, more
):
    fake = Fake([CHUNKED + chunk(event("first")), HOLD])
    up = UpstreamSettings("up", "openai", ("m",), fake.address, connect=WAIT)
    app = make_app(upstreams=(up,), store=f"file:{tmp_path}", keep=True)
    live = app.extensions["millstream"].streams.live
    asked = {"prompt": "Hi"} if more is None else {**V1, **DOORS[path], "model": "m", "stream": False, **more}
    body = json.dumps(asked).replace('"Hi"', f'"{"x" * LARGE}"', 1).encode()
    head = {"content_length": len(body), "content_type": "application/json"}
    body = Coming(body)
    tracemalloc.start()
    try:
        asking = gevent.spawn(app.test_client().post, path, input_stream=body, **head)
        with gevent.Timeout(WAIT):
            while not (fake.said.is_set() and live and all(one.first for one in live.values())):
                gevent.sleep(0.01)
        fake.requests.clear()
        gevent.sleep(0.05)
        assert tracemalloc.get_traced_memory()[0] < 1.5 * LARGE  # the fake has one, too
    finally:
        tracemalloc.stop()
        for one in [*live.values()]:
            one.stop()
        asking.join(WAIT)
        fake.close()
