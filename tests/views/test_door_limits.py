"""A key's lengths hold at every door, before every kind of upstream."""

from __future__ import annotations

import json

import pytest

from millstream.settings import Secret, UpstreamSettings
from tests.upstreams.fake import WAIT, Fake, whole

HI = [{"role": "user", "content": "Hi"}]
MANY = 999  # tokens, which may not reach anybody
DOORS = {
    "/chat": {"messages": HI, "max_tokens": MANY},
    "/v1/chat/completions": {"messages": HI, "max_completion_tokens": MANY, "num_predict": MANY},
    "/v1/completions": {"prompt": "Hi", "max_tokens": MANY, "n_predict": MANY},
    "/v1/messages": {"messages": HI, "max_tokens": MANY},
    "/v1/responses": {"input": "Hi", "max_output_tokens": MANY},
    "/api/chat": {"messages": HI, "options": {"num_predict": MANY}},
    "/api/generate": {"prompt": "Hi", "options": {"num_predict": -1}},
    "/ui/chat": {"id": "c", "messages": [{"id": "1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}]},
}
KINDS = {
    "openai": {},
    "azure": {"api_version": "2024-10-21"},
    "anthropic": {},
    "ollama": {},
    "responses": {},
    "completions": {},
}
HIDDEN = "x" * 100


@pytest.fixture
def ask(make_app):
    """Asks an upstream of a kind through a door; gives the answer's status, and what the upstream was sent."""
    made = []

    def ask(kind, path, body, **limits):
        made.append(Fake(whole("400 Bad Request", b'{"error":{"message":"no"}}')))
        more = {"api_key": Secret("k" * 8), "connect": WAIT, "retries": 0, "extra": KINDS[kind]}
        upstream = UpstreamSettings("up", kind, ("m",), made[-1].address, **more)
        client = make_app(upstreams=(upstream,), status_wait=WAIT, **limits).test_client()
        response = client.post(path, json={**body, "model": "m"})
        return response.status_code, [json.loads(said.partition(b"\r\n\r\n")[2]) for said in made[-1].requests]

    yield ask
    for one in made:
        one.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", DOORS)
def test_no_more_tokens_are_asked_for_than_a_key_may(ask, kind, path):
    _, [sent] = ask(kind, path, DOORS[path], max_tokens=5)
    asked = {**sent, **sent.get("options", {})}
    assert str(MANY) not in json.dumps(sent)
    assert {asked.get(name, 5) for name in ("max_tokens", "max_output_tokens", "num_predict")} == {5}
    assert {"max_tokens", "max_output_tokens", "num_predict"} & set(asked)


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("/v1/messages", {"context": [HIDDEN]}),
        ("/v1/messages", {"system": [{"type": "text", "text": HIDDEN}]}),
        ("/v1/messages", {"tools": [{"name": "a", "description": HIDDEN, "input_schema": {"type": "object"}}]}),
        ("/v1/responses", {"context": {"a": HIDDEN}}),
        ("/v1/responses", {"instructions": HIDDEN}),
        ("/api/chat", {"messages": [*HI, {"role": "user", "content": HIDDEN}]}),
        ("/api/generate", {"system": HIDDEN}),
        ("/v1/chat/completions", {"documents": [HIDDEN]}),
        ("/chat", {"tools": [{"type": "function", "function": {"name": "a", "description": HIDDEN}}]}),
    ],
)
def test_no_text_is_longer_than_a_key_may(ask, path, hidden):
    kind = {"/v1/messages": "anthropic", "/v1/responses": "responses"}.get(path, "openai")
    assert ask(kind, path, {**DOORS[path], **hidden}, max_prompt=99) == (413, [])
    status, sent = ask(kind, path, {**DOORS[path], **hidden}, max_prompt=300)
    assert (status, HIDDEN in json.dumps(sent)) == (400, True)
