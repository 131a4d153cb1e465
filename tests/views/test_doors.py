"""The doors of other dialects over an OpenAI-like upstream: what arrives there, what comes back, errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from millstream.settings import UpstreamSettings
from tests.dialects.answers import sse
from tests.upstreams.fake import WAIT, Fake, whole

WIRE = Path(__file__).parents[1] / "wire" / "openai"
HI = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
ASKS = {
    "/v1/messages": HI | {"tools": [{"name": "w", "input_schema": {"type": "object"}}]},
    "/v1/responses": {"model": "m", "input": "Hi", "tools": [{"type": "function", "name": "w"}]},
}


@pytest.fixture
def asking(make_app):
    """A client of an application over an upstream that answers with this recording; and that upstream."""
    made = []

    def asking(recording, status="200 OK", **more):
        made.append(Fake(*[whole(status, (WIRE / f"{recording}.sse").read_bytes())] * 9))
        table = UpstreamSettings("up", "openai", ("m",), made[-1].address, connect=WAIT, retries=0)
        return make_app(upstreams=(table,), status_wait=WAIT, **more).test_client(), made[-1]

    yield asking
    for one in made:
        one.close()


@pytest.mark.parametrize("path", ASKS)
def test_a_call_arrives_streamed_and_whole(asking, path):
    client, upstream = asking("tool_calls")
    whole, streamed = (client.post(path, json=ASKS[path] | {"stream": stream}) for stream in (False, True))
    assert whole.status_code == streamed.status_code == 200
    assert '"read_file"' in whole.text and '"read_file"' in streamed.text
    assert b'"tools":[{"type":"function","function":{"name":"w"' in upstream.requests[0]


def test_messages_name_each_request_and_err_in_their_own_shape(asking):
    client, _ = asking("openai")
    response = client.post("/v1/messages?beta=true", json=HI | {"stream": True})
    assert response.headers["request-id"] in response.headers["request-id"]
    assert sse(response.data)[0][0] == "message_start"
    refused = client.post("/v1/messages", json={"model": "m"})
    assert refused.status_code == 400
    assert refused.json["type"] == "error"
    assert refused.json["error"]["type"] == "invalid_request_error"
    assert refused.json["request_id"] == refused.headers["request-id"]
    unknown = client.post("/v1/messages", json=HI | {"model": "x"})
    assert (unknown.status_code, unknown.json["error"]["type"]) == (404, "not_found_error")
    assert (client.get("/v1/messages").status_code, client.get("/v1/messages").json["type"]) == (405, "error")
    assert client.get("/v1/messages/no").json["error"]["type"] == "not_found_error"
