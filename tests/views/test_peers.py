"""What the tests of SockJS, Nchan and Mercure try of addresses, methods and positions, tried of ours."""

from __future__ import annotations

import re
from urllib.parse import quote

import gevent
import pytest

from tests.views.keys import KEYS, OWN_PAGE, log_in, with_key

SSE = {"Accept": "text/event-stream"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE")
CACHED = ("static", "scripts")  # under a version in their addresses
ID = "A" * 22


def addresses(app) -> dict[str, set[str]]:
    """Every address, and the methods that it takes."""
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith(CACHED):
            path = re.sub("<(?:path:)?[a-z_]+>", ID, rule.rule)
            found.setdefault(path, set()).update(rule.methods)
    return found


def test_every_address_names_the_methods_that_it_takes(app):
    client, wrong = app.test_client(), []
    for path, methods in addresses(app).items():
        for method in sorted(set(METHODS) - methods):
            response = client.open(path, method=method)
            allowed = set(response.headers.get("Allow", "").replace(" ", "").split(","))
            if (response.status_code, allowed) != (405, methods):
                wrong.append((method, path, response.status_code, allowed ^ methods))
        options = client.options(path)
        if set(options.headers["Allow"].split(", ")) != methods:
            wrong.append(("OPTIONS", path, options.headers["Allow"]))
    assert wrong == []


def test_nothing_but_files_may_be_cached(make_app):
    app = make_app(open=True)
    client, cached = app.test_client(), []
    for path, methods in addresses(app).items():
        for method in sorted(methods & {"GET", "POST", "DELETE"}):
            with client.open(path, method=method, data={"prompt": "Hi"} if method == "POST" else None) as response:
                says = response.headers.get("Cache-Control", "")
                if (
                    not ("no-store" in says or ("no-cache" in says and method == "GET"))
                    and response.status_code != 204
                ):
                    cached.append((method, path, response.status_code, says))
    assert cached == []


POSITIONS = [
    *("", " ", "0", "-1", "+1", "1.5", "1e3", "01", "0x1", "¹", "٣", "NaN", "null", "true", "[]", "{}", "1,2", "1;2"),
    *(
        "9" * 15,
        "9" * 16,
        "9" * 400,
        "2147483648",
        "9007199254740993",
        "%00",
        "%31",
        "../1",
        "'",
        '"1"',
        "*",
        "a" * 3000,
    ),
]


@pytest.mark.parametrize("name", ["after", "offset", "last_event_id", "lastEventId", "Last-Event-ID"])
def test_an_odd_position_is_refused_or_the_beginning_and_never_our_failure(client, name):
    url = client.post("/streams", json={"prompt": "Hi"}).json["url"]
    accept = {"Accept": "text/plain"} if name == "offset" else SSE
    whole, statuses = client.get(url, headers=accept).data, set()
    for position in POSITIONS:
        for value in (position, f"{url[9:]}.{position}", quote(f"{url[9:]}.{position}"), f"{'B' * 22}.{position}"):
            if name == "Last-Event-ID":
                response = client.get(url, headers={**accept, name: value.encode().decode("latin-1")})
            else:
                response = client.get(url, headers=accept, query_string={name: value})
            statuses.add(response.status_code)
            if response.status_code == 200:
                assert response.data[-50:] == whole[-50:]
    assert statuses == {200, 400} | ({416} if name == "offset" else set())


def test_a_position_in_the_header_counts_more_than_the_one_in_the_address(client):
    """An EventSource asks the same address again."""
    url = client.post("/streams", json={"prompt": "Hi"}).json["url"]
    client.get(url).get_data()
    for query in ("after=2", f"last_event_id={url[9:]}.2", f"lastEventId={url[9:]}.2"):
        response = client.get(f"{url}?{query}", headers={**SSE, "Last-Event-ID": f"{url[9:]}.7"})
        assert re.findall(r"^id: .*\.(\d+)$", response.text, re.MULTILINE)[:2] == ["7", "8"]


@pytest.mark.parametrize("wait", ["-1", "1.5", "NaN", "", "x", "9" * 400, "99999999999999999", "1e9", "0x5"])
def test_an_odd_wait_is_refused_or_none(client, wait):
    url = client.post("/streams", json={"prompt": "Hi"}).json["url"]
    client.get(url).get_data()
    poll = client.get(url, query_string={"format": "json", "wait": wait})
    assert poll.status_code == 400 or poll.json["status"] == "done"
    preferring = client.get(f"{url}?format=json", headers={"Prefer": f"wait={wait}"})
    assert (preferring.status_code, preferring.json["status"]) == (200, "done")


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403), ("", 403)]
)
def test_origin_null_is_what_sec_fetch_site_makes_of_it(client, site, status):
    headers = {"Origin": "null", **({"Sec-Fetch-Site": site} if site else {})}
    assert client.post("/chat", data={"prompt": "Hi"}, headers=headers).status_code == status


def test_who_logs_out_follows_to_the_end_and_begins_nothing_new(make_app):
    """The answer was begun, and is paid, under a log-in that held: it is checked with each request."""
    client = make_app(keys=KEYS).test_client()
    log_in(client)
    asked = {"prompt": "Hi", "model": "demo?hold_last=1"}
    url = client.post("/streams", json=asked, headers=OWN_PAGE).json["url"]
    cookie = {"Cookie": f"millstream={client.get_cookie('millstream').value}"}
    other = client.application.test_client(use_cookies=False)
    following = gevent.spawn(lambda: other.get(url, headers={**SSE, **cookie}).get_data(as_text=True))
    gevent.sleep(0.1)
    client.post("/logout", headers=OWN_PAGE)
    assert "event: done" in following.get(timeout=30)
    assert other.get(url, headers={**SSE, **cookie}).status_code == 401
    assert other.get(url, headers={**SSE, **with_key("anna")}).status_code == 200


HI = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("path", "body", "streamed"),
    [
        *(
            (f"/chat?format={name}", {"prompt": "Hi"}, name != "json")
            for name in ("text", "sse", "ndjson", "html", "json")
        ),
        *(("/v1/chat/completions", {"messages": HI, "stream": stream}, stream) for stream in (True, False)),
        ("/v1/completions", {"prompt": "Hi", "stream": True}, True),
        ("/v1/messages", {"model": "demo", "messages": HI, "max_tokens": 9, "stream": True}, True),
        ("/v1/responses", {"input": "Hi", "stream": True}, True),
        ("/api/chat", {"model": "demo", "messages": HI}, True),
    ],
)
def test_every_streamed_response_is_incremental(client, path, body, streamed):
    """RFC 10036"""
    with client.post(path, json=body) as response:
        assert (response.status_code, response.headers.get("Incremental")) == (200, "?1" if streamed else None)
