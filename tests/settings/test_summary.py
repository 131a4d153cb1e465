"""What a server says of itself when it starts."""

from __future__ import annotations

import pytest

from millstream.settings import KeySettings, Settings, UpstreamSettings
from millstream.settings.summary import summary, warning

KEY = KeySettings("a", "0" * 64, budget="1/day")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "upstreams: local model; store: file; keys: this machine only, without access keys; limits: none"),
        ({"open": True}, "keys: everybody, without access keys;"),
        ({"keys": (KEY, KEY), "streams": 3}, "keys: 2 access keys; limits: streams, budget"),
        ({"store": "redis://:secret@a/0"}, "store: redis;"),
        ({"upstreams": (UpstreamSettings("a", "openai", ("m", "n")),)}, "upstreams: a (m, n);"),
        ({"upstreams": (UpstreamSettings("a", "openai", tuple("abcdefgh")),)}, "a (a, b, c, d, e, and 3 more);"),
        ({"upstreams": (UpstreamSettings("a", "openai", ()),)}, "upstreams: a;"),
    ],
)
def test_it_says_what_matters_and_no_password(settings, says):
    assert says in summary(Settings(**settings))
    assert "secret" not in summary(Settings(**settings))


@pytest.mark.parametrize(
    ("host", "values", "warns"),
    [
        ("0.0.0.0", {}, True),
        ("::", {}, True),
        ("127.0.0.1", {}, False),
        ("::1", {}, False),
        ("0.0.0.0", {"open": True}, False),
        ("0.0.0.0", {"keys": (KeySettings("a", "a" * 64),)}, False),
    ],
)
def test_a_server_that_would_refuse_all_others_says_what_to_do(host, values, warns):
    said = warning(Settings(**values), host)
    assert ("keys add NAME" in said and "MILLSTREAM_OPEN=1" in said) is warns
