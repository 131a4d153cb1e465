"""Who may ask: without keys this machine alone, with keys whoever brings one."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from millstream.access import Access
from millstream.access.keyring import Keyring, digest
from millstream.access.sessions import Sessions
from millstream.errors import RequestError
from millstream.settings import KeySettings, Settings
from tests.access.marks import Marks

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
OWN = {"Host": "localhost:8000"}
ANNA = KeySettings("anna", digest("ms-anna"))
OPERATOR = KeySettings("operator", digest("ms-operator"), operator=True)


def access_with(keys=(), **settings):
    ring = Keyring(keys)
    return Access(Settings(keys=keys, **settings), ring, Sessions(b"secret", ring, Marks(), lifetime=60))


def code_of(function, *arguments, **named):
    try:
        function(*arguments, **named)
    except RequestError as error:
        return error.code
    return None


def refusal(headers, starts=True, peer="127.0.0.1", secure=False, **settings):
    return code_of(access_with(**settings).caller, Headers(headers), peer, starts=starts, secure=secure)


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
        ({"Origin": "null"}, "bad_origin"),
        ({"Origin": "null", "Referer": "http://localhost:8000/"}, None),
        ({"User-Agent": FIREFOX}, "bad_origin"),
        ({"User-Agent": FIREFOX, "Sec-Fetch-Site": "same-origin"}, None),
        ({"User-Agent": FIREFOX, "Referer": "http://localhost:8000/"}, None),
        ({"User-Agent": "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041"}, None),
        ({"User-Agent": "Links (2.29; Linux)"}, None),
        ({"Origin": "null", "Referer": "http://evil.example/"}, "bad_origin"),
        ({"Referer": "http://localhost:8000/"}, None),
        ({"Referer": "http://evil.example/"}, "bad_origin"),
    ],
)
def test_the_origin_rule(headers, code):
    assert refusal({**OWN, **headers}) == code


@pytest.mark.parametrize(
    ("origin", "code"), [("https://localhost:8000", None), ("http://localhost:8000", "bad_origin")]
)
def test_over_https_our_own_page_came_so_too(origin, code):
    assert refusal({**OWN, "Origin": origin}, secure=True) == code


def test_a_site_that_is_allowed_may_ask_a_server_without_keys():
    asked = {**OWN, "Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
    assert refusal(asked, cors=("https://app.example",)) is None
    assert refusal({**asked, "Origin": "https://app.example.evil"}, cors=("https://app.example",)) == "bad_origin"


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


# -- with keys --------------------------------------------------------------------------------------------------


def test_a_key_is_known_by_its_digest_from_anywhere_and_on_any_page():
    asked = Headers({"Host": "x", "Via": "y", "Origin": "https://z", "Authorization": "bearer  ms-anna"})
    access = access_with((ANNA, OPERATOR))
    caller = access.caller(asked, "10.0.0.9", starts=True)
    assert access.caller(Headers({"X-Api-Key": " ms-anna"}), "", starts=True).name == "anna"
    assert (caller.name, caller.key, caller.address, caller.session) == ("anna", ANNA, "10.0.0.9", None)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_key"),
        ({"Authorization": "Basic YTpi"}, "missing_key"),
        ({"Authorization": "Bearer "}, "missing_key"),
        ({"Authorization": "Bearer ms-ann"}, "invalid_key"),
        ({"Authorization": "Bearer ms-ann", "x-api-key": "ms-anna"}, "invalid_key"),
        ({"x-api-key": "ms-ann"}, "invalid_key"),
        ({"Authorization": f"Bearer {ANNA.sha256}"}, "invalid_key"),
        ({"Authorization": "Bearer ms-änna\udcff"}, "invalid_key"),
    ],
)
def test_nobody_gets_in_without_a_key_of_the_settings(headers, code):
    for starts in (False, True):
        assert refusal({**OWN, **headers}, starts=starts, keys=(ANNA,)) == code


def by_cookie(headers, token="", starts=True, secure=False):
    access = access_with((ANNA,), cors=("https://app.example",))
    cookie = access.sessions.begin(ANNA)
    token = token and access.sessions.find(cookie).token
    asked = Headers({**OWN, **headers})
    return code_of(access.caller, asked, "", starts=starts, secure=secure, cookie=cookie, token=lambda: token)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "bad_origin"),
        ({"Sec-Fetch-Site": "none"}, None),
        ({"Sec-Fetch-Site": "same-origin"}, None),
        ({"Sec-Fetch-Site": "same-site"}, "bad_origin"),
        ({"Origin": "http://localhost:8000"}, None),
        ({"Origin": "http://localhost"}, "bad_origin"),
        ({"Origin": "null"}, "bad_origin"),
        ({"Referer": "http://localhost:8000/chat"}, None),
        ({"Referer": "http://evil.example/localhost:8000"}, "bad_origin"),
        ({"Origin": "https://app.example"}, "bad_origin"),  # allowed by CORS, which is without cookies
    ],
)
def test_a_cookie_counts_on_our_own_pages_only(headers, code):
    assert by_cookie(headers) == code
    assert by_cookie(headers, starts=False) is None


def test_where_no_header_tells_the_forms_token_does():
    assert by_cookie({}, token="the form's") is None
    assert by_cookie({"Origin": "null"}, token="the form's") is None
    assert by_cookie({"Origin": "http://evil.example"}, token="the form's") == "bad_origin"


def test_a_key_goes_before_the_cookie():
    access = access_with((ANNA,))
    asked = Headers({**OWN, "Authorization": "Bearer wrong"})
    assert code_of(access.caller, asked, "", starts=False, cookie=access.sessions.begin(ANNA)) == "invalid_key"


@pytest.mark.parametrize(
    ("keys", "headers", "peer", "code"),
    [
        ((ANNA, OPERATOR), {"Authorization": "Bearer ms-operator"}, "10.0.0.9", None),
        ((ANNA, OPERATOR), {"Authorization": "Bearer ms-anna"}, "127.0.0.1", "operator_only"),
        ((), {}, "127.0.0.1", None),
        ((), {}, "10.0.0.9", "operator_only"),
        ((), {"X-Forwarded-For": "127.0.0.1"}, "127.0.0.1", "operator_only"),
        ((), {"Host": "mill.example"}, "127.0.0.1", "operator_only"),
    ],
)
def test_who_is_the_operator(keys, headers, peer, code):
    access, asked = access_with(keys, open=True), Headers({**OWN, **headers})
    caller = access.caller(asked, peer, starts=False)
    assert code_of(access.check_operator, caller, asked) == code
