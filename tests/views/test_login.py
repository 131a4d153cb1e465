"""/login and /logout, and where those without a log-in are led."""

from __future__ import annotations

import io
import re

import pytest

from tests.views.keys import KEYS, OWN_PAGE, log_in, with_key

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
QUESTION = {"prompt": "Hi", "format": "html"}


class Unread(io.BytesIO):
    """A body that nobody may read."""

    def read(self, *_):
        raise AssertionError


@pytest.fixture
def client(make_app):
    return make_app(keys=KEYS).test_client()


def cookie_of(response) -> str:
    (cookie,) = response.headers.getlist("Set-Cookie")
    return cookie


def location(response) -> tuple[int, str]:
    return response.status_code, response.headers.get("Location", "")


@pytest.mark.parametrize(
    ("path", "headers", "to"),
    [
        ("/", {}, "/login"),
        ("/", HTML, "/login"),
        ("/?a=b", {"Accept": "*/*"}, "/login?next=/?a%3Db"),
        ("/streams/x", HTML, "/login?next=/streams/x"),
        ("/streams/x?format=html&after=1", {}, "/login?next=/streams/x?format%3Dhtml%26after%3D1"),
    ],
)
def test_a_person_without_a_log_in_is_led_to_it_and_back(client, path, headers, to):
    response = client.get(path, headers=headers)
    assert location(response) == (303, to)
    assert response.headers["Cache-Control"] == "no-store"
    form = client.get(to).text
    there = re.search('name="next" value="(.*?)"', form)[1].replace("&amp;", "&")
    assert location(log_in(client, next=there)) == (303, path if "next" in to else "/")


@pytest.mark.parametrize("path", ["/streams/x", "/v1/models", "/chat?prompt=a&format=sse"])
@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "text/event-stream"])
def test_a_program_without_a_key_gets_401(client, path, accept):
    response = client.get(path, headers={"Accept": accept})
    assert (response.status_code, response.json["error"]["code"]) == (401, "missing_key")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_log_in_opens_the_page_and_asks(client):
    response = log_in(client)
    assert location(response) == (303, "/")
    cookie = cookie_of(response)
    assert re.fullmatch(r"millstream=[\w.-]+; Expires=.*; Max-Age=604800; HttpOnly; Path=/; SameSite=Lax", cookie)
    assert "ms-anna" not in cookie
    page = client.get("/")
    assert (page.status_code, page.headers["Cache-Control"], page.headers["Vary"]) == (
        200,
        "no-cache, private",
        "Accept-Language, Cookie",
    )
    assert client.post("/chat", data=QUESTION, headers=OWN_PAGE).status_code == 200


def test_json_gets_204_and_the_same_cookie(client):
    response = client.post("/login", json={"key": " ms-anna\n"}, headers=OWN_PAGE)
    assert (response.status_code, response.data) == (204, b"")
    assert "HttpOnly" in cookie_of(response)
    assert client.get("/").status_code == 200


def test_over_https_the_cookie_is_this_hosts_alone(make_app):
    client = make_app(keys=KEYS).test_client()
    response = client.post("/login", data={"key": "ms-anna"}, base_url="https://localhost")
    assert re.match(r"__Host-millstream=[\w.-]+; .*; Secure; HttpOnly; Path=/; SameSite=Lax", cookie_of(response))
    assert "Domain" not in cookie_of(response)
    assert client.get("/", base_url="https://localhost").status_code == 200
    assert client.get("/").status_code == 303  # over plain HTTP it is not sent


def test_a_cookie_planted_over_http_is_not_looked_at_over_https(client):
    word = cookie_of(log_in(client)).partition("=")[2].partition(";")[0]
    other = client.application.test_client(use_cookies=False)
    for name, status in (("millstream", 303), ("__Host-millstream", 200)):
        headers = {"Cookie": f"{name}={word}"}
        assert other.get("/", base_url="https://localhost", headers=headers).status_code == status


@pytest.mark.parametrize("key", ["ms-nobody", "", None, ["ms-anna"]])
def test_a_wrong_key_is_401_in_the_form_that_asked(client, key):
    answer = client.post("/login", json={"key": key})
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "invalid_key")
    assert not answer.headers.getlist("Set-Cookie")
    page = client.post("/login", data={"key": str(key), "next": "/streams/x"})
    assert page.status_code == 401
    assert "This access key is not valid." in page.text
    assert 'name="next" value="/streams/x"' in page.text
    assert str(key) not in page.text or not key


@pytest.mark.parametrize(
    "next",
    [
        *("//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "javascript:alert(1)"),
        *(
            "/\t/evil.example",
            "/\r\nX: y",
            "/x\r\nSet-Cookie: a=b",
            "evil",
            "",
            "/ü",
            "/" + "x" * 2100,
            "///x",
            "/\0",
            "/chat?prompt=a&format=sse",
            "/streams/x/stop",
            "/v1/models",
            "/login",
        ),
    ],
)
def test_nobody_is_led_to_another_site(client, next):
    assert location(log_in(client, next=next)) == (303, "/")
    assert location(client.get("/login", query_string={"next": next})) == (303, "/")


def test_who_has_a_log_in_or_needs_none_is_led_on(client, make_app):
    log_in(client)
    assert location(client.get("/login?next=/streams/x")) == (303, "/streams/x")
    assert location(make_app().test_client().get("/login")) == (303, "/")


def test_nobody_can_log_in_where_there_are_no_keys(make_app):
    response = make_app().test_client().post("/login", json={"key": "ms-anna"})
    assert (response.status_code, response.json["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("json", [False, True])
def test_a_copy_of_the_cookie_is_worth_nothing_after_the_log_out(client, json):
    stolen = cookie_of(log_in(client)).partition(";")[0]
    options = {"json": {}} if json else {"data": {}}
    response = client.post("/logout", headers=OWN_PAGE, **options)
    assert location(response) == ((204, "") if json else (303, "/login"))
    assert "Expires=Thu, 01 Jan 1970" in cookie_of(response)
    thief = client.application.test_client(use_cookies=False)
    assert thief.get("/", headers={"Cookie": stolen}).status_code == 303
    assert thief.post("/chat", data={"prompt": "Hi"}, headers={"Cookie": stolen, **OWN_PAGE}).status_code == 401
    assert location(client.post("/logout", headers=OWN_PAGE)) == (303, "/login")  # once more does no harm


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize("with_cookie", [True, False])  # a browser keeps it from another site's form
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"User-Agent": "Mozilla/5.0"},
    ],
)
def test_no_foreign_page_logs_anybody_in_or_out(client, path, headers, with_cookie):
    log_in(client)
    if not with_cookie:
        client = client.application.test_client()
    response = client.post(path, data={"key": "ms-bob"}, headers=headers)
    assert response.status_code == 403
    assert not response.headers.getlist("Set-Cookie")
    assert client.get("/").status_code == (200 if with_cookie else 303)


def test_the_forms_of_our_pages_work_in_browsers_that_say_nothing_of_where_they_are(client):
    log_in(client)
    token = re.search('name="token" value="(.*?)"', client.get("/").text)[1]
    bare = client.post("/chat", data=QUESTION)
    assert (bare.status_code, "bad_origin" in bare.text) == (403, True)
    assert client.post("/chat", data={**QUESTION, "token": token[:-1]}).status_code == 403
    assert client.post("/chat", json={"prompt": "Hi", "token": token}).status_code == 403
    page = client.post("/chat", data={**QUESTION, "token": token})
    assert page.status_code == 200
    forms = re.findall("<form.*?</form>", page.text, re.S)
    assert len(forms) == 3  # stop, ask again, ask on
    assert all(f'name="token" value="{token}"' in form for form in forms)
    stop = page.headers["Content-Location"] + "/stop"
    assert client.post(stop, data={"format": "html", "token": token}).status_code == 303
    assert client.post(stop, data={"format": "html"}).status_code == 403
    assert 'name="token"' not in client.get("/", headers=with_key("anna")).text


def test_the_eleventh_attempt_within_a_minute_waits(client):
    statuses = [client.post("/login", json={"key": f"guess{n}"}).status_code for n in range(10)]
    assert statuses == [401] * 10
    for forged in ({}, {"X-Forwarded-For": "1.2.3.4"}, {"Forwarded": "for=1.2.3.4"}):
        response = client.post("/login", json={"key": "ms-anna"}, headers=forged)
        assert (response.status_code, response.json["error"]["code"]) == (429, "login")
        assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert "Try again in" in client.post("/login", data={"key": "ms-anna"}).text
    assert client.get("/v1/models", headers=with_key("anna")).status_code == 200
    # Refused before anything is read: a megabyte of multipart takes a while.
    big = client.post("/login", input_stream=Unread(), content_length=1 << 20)
    assert big.status_code == 429
    there = {"REMOTE_ADDR": "10.0.0.9"}
    assert client.post("/login", json={"key": "ms-anna"}, environ_base=there).status_code == 204


@pytest.mark.parametrize("by", ["SCRIPT_NAME", "X-Forwarded-Prefix"])
def test_under_a_sub_path_everything_stays_below_it(make_app, by):
    client = make_app(keys=KEYS, trusted_proxies=1).test_client()
    options = {"environ_overrides": {by: "/mill"}} if by == "SCRIPT_NAME" else {"headers": {by: "/mill"}}
    assert location(client.get("/", **options)) == (303, "/mill/login")
    form = client.get("/login", **options).text
    assert 'action="/mill/login"' in form
    response = client.post("/login", data={"key": "ms-anna", "next": "/streams/x"}, **options)
    assert location(response) == (303, "/mill/streams/x")
    assert re.match(r"millstream-[0-9a-f]{8}=.*; Path=/;", cookie_of(response))
    assert client.get("/", **options).status_code == 200
    assert client.get("/").status_code == 303  # another server under the same host
    assert location(client.post("/logout", **_merged(options))) == (303, "/mill/login")


def _merged(options):
    return {**options, "headers": {**options.get("headers", {}), **OWN_PAGE}}
