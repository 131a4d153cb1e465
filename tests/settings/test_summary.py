"""What a server says of itself when it starts."""

from __future__ import annotations

import pytest

from millstream.settings import KeySettings, Settings, UpstreamSettings
from millstream.settings.summary import summary

KEY = KeySettings("a", "0" * 64, budget="1/day")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "upstreams: local model; store: file; keys: this machine only, without access keys; limits: none"),
        ({"open": True}, "keys: everybody, without access keys;"),
        ({"keys": (KEY, KEY), "streams": 3}, "keys: 2 access keys; limits: streams, budget"),
        ({"store": "redis://:secret@a/0"}, "store: redis;"),
        ({"upstreams": (UpstreamSettings("a", "demo", ()), UpstreamSettings("b", "demo", ()))}, "upstreams: a, b;"),
    ],
)
def test_it_says_what_matters_and_no_password(settings, says):
    assert says in summary(Settings(**settings))
    assert "secret" not in summary(Settings(**settings))
