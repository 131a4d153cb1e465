"""What a refusal of the upstream tells who asked: the status, and how long to wait."""

from __future__ import annotations

import pytest

from millstream.settings import UpstreamSettings
from tests.upstreams.fake import WAIT, Fake, whole

BUSY = b'{"error":{"message":"Slow down"}}'


@pytest.fixture
def ask(make_app):
    """Asks an upstream that answers so."""
    made = []

    def ask(reply, path="/chat", **options):
        made.append(Fake(reply))
        table = UpstreamSettings("busy", "openai", ("m",), made[-1].address, connect=WAIT, retries=0)
        client = make_app(upstreams=(table,), status_wait=WAIT).test_client()
        return client.post(path, json={"prompt": "Hi"}, **options)

    yield ask
    for one in made:
        one.close()


@pytest.mark.parametrize(
    ("path", "format"), [("/chat", "sse"), ("/chat", "json"), ("/chat", "text"), ("/streams", "")]
)
@pytest.mark.parametrize(
    ("header", "told"), [("Retry-After: 30", "30"), ("retry-after-ms: 1200", "2"), ("X-Nothing: 1", None)]
)
def test_the_wait_that_the_upstream_wants_is_told(ask, path, format, header, told):
    query = f"{path}?format={format}" if format else path
    response = ask(whole("429 Too Many Requests", BUSY, header), query)
    assert (response.status_code, response.headers.get("Retry-After")) == (502, told)
    assert "Slow down" in response.text
    assert "retry_after" not in response.text
