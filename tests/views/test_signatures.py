"""A signed thought on its way through a door and back: byte-exact, to the dialect that made it alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from millstream.settings import UpstreamSettings
from tests.dialects.answers import sse
from tests.upstreams.fake import END, WAIT, Fake, whole

WIRE = Path(__file__).parents[1] / "wire" / "anthropic"
USER = {"role": "user", "content": "Hi"}
THINKING = {"type": "enabled", "budget_tokens": 1024}


def messages(client):
    body = {"model": "a", "max_tokens": 2048, "thinking": THINKING, "messages": [USER]}
    content = client.post("/v1/messages", json=body).json["content"]
    return "/v1/messages", body | {"messages": [USER, {"role": "assistant", "content": content}, USER]}


def responses(client):
    body = {"model": "a", "reasoning": {"effort": "low"}, "max_output_tokens": 2048, "input": [USER]}
    output = client.post("/v1/responses", json=body).json["output"]
    return "/v1/responses", body | {"input": [USER, *output, USER]}


def reference(client):
    body = {"model": "a", "max_output_tokens": 2048, "input": [USER]}
    output = client.post("/v1/responses", json=body).json["output"]
    references = [{"type": "item_reference", "id": item["id"]} for item in output]
    return "/v1/responses", body | {"input": [USER, *references, USER]}


def ui(client):
    asked = {"role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    chunks = [data for _, data in sse(client.post("/ui/chat", json={"model": "a", "messages": [asked]}).data)]
    parts, texts = [], {}
    for chunk in chunks[:-1]:
        name, _, step = chunk["type"].rpartition("-")
        if step == "delta":
            texts[chunk["id"]] = texts.get(chunk["id"], "") + chunk["delta"]
        elif step == "end" and name in ("text", "reasoning"):
            part = {"type": name, "text": texts.get(chunk["id"], "")}
            parts.append(part | {key: chunk[key] for key in ("providerMetadata",) if key in chunk})
    return "/ui/chat", {"model": "a", "messages": [asked, {"role": "assistant", "parts": parts}, asked]}


@pytest.mark.parametrize("recording", ["thinking", "thinking_redacted"])
@pytest.mark.parametrize("door", [messages, responses, reference, ui])
def test_a_signature_returns_to_its_maker_and_to_nobody_else(make_app, door, recording):
    answer = (WIRE / f"{recording}.sse").read_bytes()
    anthropic, other = Fake(*[whole(body=answer)] * 2), Fake(whole(body=END))
    tables = (
        UpstreamSettings("claude", "anthropic", ("a",), anthropic.address, connect=WAIT, retries=0),
        UpstreamSettings("other", "openai", ("o",), other.address, connect=WAIT, retries=0),
    )
    client = make_app(upstreams=tables, status_wait=WAIT).test_client()
    path, body = door(client)
    assert client.post(path, json=body).status_code == 200
    assert client.post(path, json=body | {"model": "o"}).status_code == 200
    back, elsewhere = (json.loads(one.requests[-1].partition(b"\r\n\r\n")[2]) for one in (anthropic, other))
    blocks = [block for turn in back["messages"] if isinstance(turn["content"], list) for block in turn["content"]]
    said = [block.get("signature") or block.get("data") for block in blocks if "thinking" in block["type"]]
    made = list(map(json.loads, (line[6:] for line in answer.decode().splitlines() if line.startswith("data:"))))
    signed = [event["delta"]["signature"] for event in made if event.get("delta", {}).get("signature")]
    hidden = [event["content_block"]["data"] for event in made if event.get("content_block", {}).get("data")]
    assert said == hidden + signed and said
    assert not any(signature in json.dumps(elsewhere) for signature in said)
    for one in (anthropic, other):
        one.close()
