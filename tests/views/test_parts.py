"""/chat and /streams with content in parts and with tools, through upstreams of several kinds."""

from __future__ import annotations

import json

import pytest

from millstream.settings import UpstreamSettings
from tests.upstreams.fake import WAIT, Fake, whole
from tests.views.test_doors import WIRE

PNG = "data:image/png;base64,iVBORw=="
SEEN = {
    "role": "user",
    "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PNG}}],
}
TOOL = {"type": "function", "function": {"name": "w", "parameters": {"type": "object"}}}
CALLED = [
    {"role": "user", "content": "Hi"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "w", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "a", "content": "22"},
]


@pytest.fixture
def asking(make_app):
    made = []

    def asking(kind, recording):
        made.append(Fake(*[whole("200 OK", recording.read_bytes())] * 9))
        table = UpstreamSettings("up", kind, ("m",), made[-1].address, connect=WAIT, retries=0)
        return make_app(upstreams=(table,), status_wait=WAIT).test_client(), made[-1]

    yield asking
    for one in made:
        one.close()


def asked(upstream):
    return json.loads(upstream.requests[-1].partition(b"\r\n\r\n")[2])


def test_parts_and_tools_reach_an_openai_like_upstream(asking):
    client, upstream = asking("openai", WIRE / "tool_calls.sse")
    response = client.post(
        "/chat?format=sse", json={"messages": [*CALLED, SEEN], "tools": [TOOL], "tool_choice": "auto"}
    )
    assert "event: call" in response.text and '"read_file"' in response.text
    body = asked(upstream)
    assert (body["messages"], body["tools"], body["tool_choice"]) == ([*CALLED, SEEN], [TOOL], "auto")
    assert '"tool_calls"' in client.post("/chat?format=json", json={"messages": CALLED, "tools": [TOOL]}).text


def test_parts_and_tools_are_translated_for_another_dialect(asking):
    client, upstream = asking("anthropic", WIRE.parent / "anthropic" / "tool_use.sse")
    response = client.post("/chat?format=ndjson", json={"messages": [*CALLED, SEEN], "tools": [TOOL]})
    assert any(json.loads(line).get("type") == "call" for line in response.text.splitlines() if line)
    body = asked(upstream)
    kinds = [
        block["type"] for turn in body["messages"] if isinstance(turn["content"], list) for block in turn["content"]
    ]
    assert kinds[-4:] == ["tool_use", "tool_result", "text", "image"]
    assert body["tools"][0]["name"] == "w"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x", "name": "y"}]}, "messages[0]"),
        ({"prompt": "x", "tools": 5}, "tools"),
        ({"prompt": "x", "tools": [TOOL], "tool_choice": 5}, "tool_choice"),
    ],
)
def test_what_is_wrong_is_named(client, body, param):
    response = client.post("/chat", json=body, headers={"Accept": "application/json"})
    assert (response.status_code, response.json["error"]["param"]) == (400, param)
