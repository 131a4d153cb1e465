"""Pages of other sites, where the settings allow some."""

from __future__ import annotations

import pytest

from tests.views.keys import KEYS, OWN_PAGE, log_in, with_key

SITE = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
EVIL = {"Origin": "https://app.example.evil", "Sec-Fetch-Site": "cross-site"}
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, x-stainless-os"}


@pytest.fixture
def client(make_app):
    return make_app(keys=KEYS, cors=("https://app.example",)).test_client()


def cors_of(response) -> dict[str, str]:
    return {name: value for name, value in response.headers if name.startswith("Access-Control-")}


@pytest.mark.parametrize("path", ["/chat", "/streams/x", "/v1/models", "/absent"])
def test_a_page_that_may_ask_is_told_so_before_and_after(client, path):
    before = client.options(path, headers={**SITE, **ASKS})
    assert before.status_code == 204
    assert before.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert before.headers["Access-Control-Allow-Headers"] == "authorization, x-stainless-os"
    assert "DELETE" in before.headers["Access-Control-Allow-Methods"]
    after = client.get(path, headers={**SITE, **with_key("anna")})
    assert after.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "Origin" in after.headers["Vary"]
    for name in ("Content-Location", "Location", "Retry-After", "x-request-id", "x-ratelimit-remaining-requests"):
        assert name in after.headers["Access-Control-Expose-Headers"].split(", ")
    assert "Access-Control-Allow-Credentials" not in {**cors_of(before), **cors_of(after)}


def test_it_asks_with_its_readers_key_and_without_keys_with_none(client, make_app):
    question = {"prompt": "Hi", "format": "text"}
    assert client.post("/chat", json=question, headers={**SITE, **with_key("anna")}).status_code == 200
    assert client.post("/chat", json=question, headers=SITE).status_code == 401
    unkeyed = make_app(cors=("https://app.example",)).test_client()
    assert unkeyed.post("/chat", json=question, headers=SITE).status_code == 200
    assert unkeyed.post("/chat", json=question, headers=EVIL).status_code == 403


def test_it_never_uses_its_readers_cookie(client):
    log_in(client)
    assert client.post("/chat", json={"prompt": "Hi"}, headers=SITE).status_code == 403
    assert client.post("/chat", json={"prompt": "Hi"}, headers=OWN_PAGE).status_code == 200


@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_logging_in_is_not_its_business(client, path):
    assert not cors_of(client.options(path, headers={**SITE, **ASKS}))
    assert client.post(path, json={"key": "ms-anna"}, headers=SITE).status_code == 403


@pytest.mark.parametrize("origin", [EVIL["Origin"], "http://app.example", "null", "https://app.example:444", ""])
def test_any_other_page_is_told_nothing(client, origin):
    for response in (
        client.options("/chat", headers={"Origin": origin, **ASKS}),
        client.get("/streams/x", headers={"Origin": origin, **with_key("anna")}),
    ):
        assert not cors_of(response)
        assert "Origin" in response.headers["Vary"]  # caches must not give it to those who are


def test_a_header_name_that_is_none_is_not_echoed(client):
    asks = {**ASKS, "Access-Control-Request-Headers": "authorization\x0b evil: 1"}
    assert "Access-Control-Allow-Headers" not in client.options("/chat", headers={**SITE, **asks}).headers


def test_without_the_setting_nobody_is_told_anything(make_app):
    client = make_app(keys=KEYS).test_client()
    response = client.options("/chat", headers={**SITE, **ASKS})
    assert (response.status_code, cors_of(response), response.headers.get("Vary")) == (200, {}, None)


def test_the_static_files_are_for_every_page(client):
    with client.get("/static/page.css", headers=EVIL) as response:
        headers = response.headers
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
