"""A server without keys serves its own machine alone."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from millstream.access import Access
from millstream.errors import RequestError
from millstream.settings import Settings

OWN = {"Host": "localhost:8000"}


def refusal(headers, starts=True, peer="127.0.0.1", **settings):
    try:
        Access(Settings(**settings)).caller(Headers(headers), peer, starts=starts)
    except RequestError as error:
        return error.code
    return None


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:80", "[::1]:8000", "LOCALHOST"])
def test_the_names_of_this_machine_are_served(host):
    assert refusal({"Host": host}) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::2]", "[::1].evil.example"]
)
def test_another_name_is_refused(host):
    assert refusal({"Host": host}, starts=False) == "bad_host"


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "x-real-ip", "Via"])
def test_what_came_through_a_proxy_is_refused(name):
    assert refusal({**OWN, name: "1.2.3.4"}) == "bad_host"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, None),  # curl
        ({"Sec-Fetch-Site": "same-origin"}, None),
        ({"Sec-Fetch-Site": "none"}, None),
        ({"Sec-Fetch-Site": "cross-site"}, "bad_origin"),
        ({"Sec-Fetch-Site": "same-site"}, "bad_origin"),
        ({"Origin": "http://localhost:8000"}, None),
        ({"Origin": "http://localhost:3000"}, "bad_origin"),
        ({"Origin": "https://evil.example"}, "bad_origin"),
        ({"Origin": "http://[bad"}, "bad_origin"),
        ({"Origin": "null"}, None),
        ({"Origin": "null", "Referer": "http://evil.example/"}, "bad_origin"),
        ({"Referer": "http://localhost:8000/"}, None),
        ({"Referer": "http://evil.example/"}, "bad_origin"),
    ],
)
def test_the_origin_rule(headers, code):
    assert refusal({**OWN, **headers}) == code


def test_reading_asks_for_no_origin():
    assert refusal({**OWN, "Origin": "https://evil.example"}, starts=False) is None


def test_an_open_server_serves_everybody_but_foreign_pages():
    through = {"Host": "x", "Via": "z"}
    assert refusal({**through, "Origin": "https://x"}, peer="10.0.0.9", open=True) is None
    assert refusal({**through, "Origin": "https://y"}, peer="10.0.0.9", open=True) == "bad_origin"


@pytest.mark.parametrize(("peer", "code"), [("127.0.0.1", None), ("::1", None), ("", None), ("10.0.0.9", "bad_host")])
def test_a_forged_name_from_another_machine_is_refused(peer, code):
    assert refusal(OWN, peer=peer) == code


def test_a_name_that_is_allowed_may_be_asked_from_other_machines():
    assert refusal({"Host": "mill.lan"}, peer="10.0.0.9", hosts=("localhost", "mill.lan")) is None
