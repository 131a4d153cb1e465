"""Azure OpenAI: the address, the header, and its own refusals. Its frames: tests/wire/azure."""

import json
from dataclasses import replace

import pytest
from msgspec import structs

from millstream.settings import SettingError
from millstream.upstreams.azure import Azure
from tests.calling import calling
from tests.upstreams.fake import ANSWER, CALL, CHUNKED, LAST, chunk, failure, whole
from tests.upstreams.recorded import WIRE

KEY = "0123456789abcdef0123456789abcdef"


def azure(server, key=KEY, **extra):
    return Azure(settings(server.address.removesuffix("/v1"), server, key, **extra))


def settings(base_url, server, key=KEY, **extra):
    return replace(server.settings(key, extra=extra), kind="azure", base_url=base_url)


def events(upstream, call=CALL):
    return [event for batch in upstream.stream(call) for event in batch]


CHAT = "/chat/completions?api-version="
REQUESTS = [
    # own settings, the call's model and api → the address
    ({}, "gpt-4o", "chat", f"/openai/deployments/gpt-4o{CHAT}2024-10-21"),
    ({}, "a/b?c d", "chat", f"/openai/deployments/a%2Fb%3Fc%20d{CHAT}2024-10-21"),
    ({"deployment": "ours"}, "gpt-4o", "openai", f"/openai/deployments/ours{CHAT}2024-10-21"),
    ({"api_version": "2025-01-01-preview"}, "m", "chat", f"/openai/deployments/m{CHAT}2025-01-01-preview"),
    ({}, "m", "completions", "/openai/deployments/m/completions?api-version=2024-10-21"),
]


@pytest.mark.parametrize(("extra", "model", "api", "address"), REQUESTS)
def test_the_request(fake, extra, model, api, address):
    server = fake(ANSWER)
    said = {"prompt": "Hi"} if api == "completions" else {}
    call = calling(model, [{"role": "user", "content": "Hi"}], {"top_p": 1, **said}, api=api)
    events(azure(server, **extra), call)
    top, _, body = server.requests[0].decode().partition("\r\n\r\n")
    assert top.startswith(f"POST {address} HTTP/1.1\r\n")
    assert f"\r\napi-key: {KEY}" in top
    assert "authorization" not in top.lower()
    asked = json.loads(body)
    assert (asked["top_p"], asked["stream"], asked["stream_options"]) == (1, True, {"include_usage": True})
    assert ("messages" in asked) == (api != "completions")


def test_frames_are_passed_on_as_they_come(fake):
    data = (WIRE / "azure" / "asynchronous_filter.sse").read_bytes()
    *frames, done = events(azure(fake(CHUNKED + chunk(data) + LAST)), structs.replace(CALL, passing=True))
    passed = [frame for event in (*frames, done) for frame in event.frames]
    assert b"".join(b"data: %s\n\n" % frame for frame in passed) + b"data: [DONE]\n\n" == data
    assert (done.end.finish_reason, done.end.usage.output) == ("stop", 3)


def said(code, message):
    return json.dumps({"error": {"code": code, "message": message}}).encode()


FILTERED = (
    b'{"error":{"message":"The response was filtered due to the prompt triggering our content management policy.",'
    b'"type":null,"param":"prompt","code":"content_filter","status":400,'
    b'"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true}}}}}'
)

REFUSALS = [
    # status, body → code, is another upstream worth asking, words of the message
    ("400 Bad Request", FILTERED, "content_filter", "Rephrase it"),
    ("404 Not Found", said("DeploymentNotFound", "The API deployment …"), "upstream_refused", "no deployment 'm'"),
    ("404 Not Found", said("404", "Resource not found"), "upstream_refused", "check its base_url"),
    ("404 Not Found", b"", "upstream_refused", "check its base_url"),
    ("401 Unauthorized", said("401", f"Access denied: {KEY}"), "upstream_auth", "Check its api_key"),
]


@pytest.mark.parametrize(("status", "body", "code", "words"), REFUSALS)
def test_a_refusal(fake, status, body, code, words):
    error = failure(azure(fake(whole(status, body))))
    assert error.code == code
    assert words in error.message
    assert KEY not in error.message


def test_a_missing_deployment_is_named_with_what_to_do(fake):
    error = failure(azure(fake(whole("404 Not Found", said("DeploymentNotFound", "…"))), deployment="ours"))
    assert "no deployment 'ours' (HTTP 404); create it, or set `deployment`" in error.message
    assert (error.paid, error.elsewhere) == (True, True)


def test_an_older_version_that_knows_no_usage_is_asked_without(fake):
    complaint = whole("400 Bad Request", said(None, "Unrecognized request argument supplied: stream_options"))
    server = fake(complaint, ANSWER)
    events(azure(server))
    assert [b"stream_options" in request for request in server.requests] == [True, False]


@pytest.mark.parametrize(
    ("base_url", "extra", "words"),
    [
        ("", {}, "https://NAME.openai.azure.com"),
        ("https://a.example/openai/v1", {}, 'kind = "openai"'),
        ("https://a.example/openai/deployments/x", {}, "the endpoint alone"),
        ("https://a.example", {"api_version": 2024}, "api_version is 2024"),
        ("https://a.example", {"deployment": ["x"]}, "deployment is"),
        ("https://a.example", {"engine": "x"}, "engine is not a setting of the kind azure; of its own it has api"),
    ],
)
def test_a_wrong_setting_is_named(fake, base_url, extra, words):
    with pytest.raises(SettingError, match=words):
        Azure(settings(base_url, fake(), **extra))
