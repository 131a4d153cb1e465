"""/streams: starting, following, resuming, stopping, erasing."""

from __future__ import annotations

import json

import gevent
import pytest

from millstream.access.keyring import digest
from millstream.settings import KeySettings
from millstream.streams import Streams
from millstream.streams.history import History, Tally
from tests.views.test_chat import events


@pytest.fixture
def start(client):
    """Starts a stream; gives its address."""

    def post(model: str = "demo", **fields: str) -> str:
        response = client.post("/streams", json={"prompt": "Hi", "model": model, **fields})
        assert response.status_code == 201
        assert response.json == {"id": response.json["id"], "url": response.headers["Location"]}
        return response.json["url"]

    return post


def test_a_started_stream_is_followed_by_its_address(client, start):
    url = start()
    assert client.get(url).text == client.get(url).text != ""


def test_every_position_resumes_exactly(client, start):
    url = start()
    whole = events(client.get(f"{url}?format=sse"))
    id = whole[0][1]["id"]
    for n in range(1, len(whole) - 1):
        resumed = events(client.get(url, headers={"Accept": "text/event-stream", "Last-Event-ID": f"{id}.{n}"}))
        assert resumed[0][2] == f"{id}.{n}"
        assert resumed[1:] == whole[n + 1 :]


@pytest.mark.parametrize("form", ["last_event_id={id}.3", "lastEventId={id}.3", "after=3"])
def test_a_position_may_stand_in_the_address(client, start, form):
    url = start()
    assert client.get(url).data
    query = form.format(id=url.rpartition("/")[2])
    assert events(client.get(f"{url}?format=sse&{query}"))[1][2].endswith(".4")


def test_at_the_end_of_a_finished_stream_there_is_nothing(client, start):
    url = start()
    last = events(client.get(f"{url}?format=sse"))[-1][2]
    response = client.get(url, headers={"Accept": "text/event-stream", "Last-Event-ID": last})
    assert (response.status_code, response.data) == (204, b"")


@pytest.mark.parametrize("value", ["nonsense", "{id}.9999", "{other}.1", "{id}.-1", "{id}"])
def test_a_wrong_position_is_refused(client, start, value):
    url = start()
    assert client.get(url).data
    header = value.format(id=url.rpartition("/")[2], other="x" * 22)
    response = client.get(url, headers={"Accept": "text/event-stream", "Last-Event-ID": header})
    assert (response.status_code, response.json["error"]["code"]) == (400, "bad_position")


@pytest.mark.parametrize("id", ["x" * 22, "x", "..%5c..%5cetc", "x%00" + "x" * 21, "x" * 23, "x" * 21 + "%0a"])
def test_an_unknown_stream_is_404(client, id):
    response = client.get(f"/streams/{id}")
    assert (response.status_code, response.json["error"]["code"]) == (404, "stream_not_found")


def test_every_byte_of_a_text_can_be_resumed_from(client, start):
    url = start()
    whole = client.get(url).data
    for offset in range(len(whole)):
        ranged = client.get(url, headers={"Range": f"bytes={offset}-"})
        assert (ranged.status_code, ranged.data) == (206, whole[offset:])
        assert ranged.headers["Content-Range"] == f"bytes {offset}-{len(whole) - 1}/{len(whole)}"
    assert client.get(f"{url}?offset=7").data == whole[7:]


def test_a_text_has_nothing_after_its_end(client, start):
    url = start()
    whole = client.get(url).data
    for offset in (len(whole), len(whole) + 1):
        response = client.get(url, headers={"Range": f"bytes={offset}-"})
        assert (response.status_code, response.json["error"]["code"]) == (416, "bad_range")


def test_text_that_comes_while_its_end_is_looked_for_is_no_wrong_range(client, start, monkeypatch):
    url = start()
    whole = client.get(url).data
    history, early = Streams.history, iter([True, True])  # as if the owner wrote it behind these two looks
    nothing = History("", 0, None, Tally())
    monkeypatch.setattr(Streams, "history", lambda *of: nothing if next(early, False) else history(*of))
    response = client.get(url, headers={"Range": "bytes=4-"})
    assert (response.status_code, response.data) == (206, whole[4:])


def test_a_range_is_ignored_where_its_condition_is_not_true(client, start):
    url = start()
    whole = client.get(url)
    for validator in ('"etag"', 'W/"etag"', "Fri, 27 Nov 2026 21:00:00 GMT"):
        again = client.get(url, headers={"Range": "bytes=4-", "If-Range": validator})
        assert (again.status_code, again.data, "Content-Range" in again.headers) == (200, whole.data, False)


@pytest.mark.parametrize("range_", ["bytes=0-1", "bytes=-5", "bytes=0-,5-", "lines=0-"])
def test_other_ranges_are_ignored(client, start, range_):
    url = start()
    response = client.get(url, headers={"Range": range_})
    assert (response.status_code, response.data) == (200, client.get(url).data)


def test_a_failed_text_with_nothing_left_gives_its_own_error(client):
    url = client.post("/streams", json={"prompt": "x", "model": "demo?fault=cut&after=3&pace=1000"}).json["url"]
    have = sum(len(e[1]["text"].encode()) for e in events(client.get(f"{url}?format=sse")) if e[0] == "message")
    response = client.get(url, headers={"Range": f"bytes={have}-"})
    assert (response.status_code, response.json["error"]["code"]) == (502, "upstream_broke")


def test_lines_resume_after_a_number(client, start):
    url = start()
    whole = [json.loads(line) for line in client.get(f"{url}?format=ndjson").text.splitlines() if line]
    part = [json.loads(line) for line in client.get(f"{url}?format=ndjson&after=4").text.splitlines() if line]
    assert part[1:] == whole[5:]


def test_polling_gives_every_event_and_the_state(client, start):
    url = start("demo?pace=200&tokens=30")
    seen, status, last = [], "", 0
    while status not in ("done", "failed"):
        body = client.get(f"{url}?format=json&after={last}&wait=20").json
        seen += [event["n"] for event in body["events"]]
        status, last = body["status"], body["last"]
    assert seen == list(range(1, len(seen) + 1))
    assert status == "done"


def test_prefer_wait_is_the_same_as_the_query(client, start):
    url = start("demo?hold=0.3&tokens=1&pace=1000")
    headers = {"Accept": "application/json", "Prefer": "respond-async, wait=20"}
    assert client.get(url, headers=headers).json["events"]


def test_a_poll_that_does_not_wait_comes_back_at_once(client, start):
    url = start("demo?hold=30")
    assert client.get(f"{url}?format=json").json["events"] == []
    client.delete(url)


def test_stop_ends_the_stream_and_keeps_what_came(client, start):
    url = start("demo?pace=20")
    assert client.get(f"{url}?format=json&wait=20").json["events"]
    assert client.post(f"{url}/stop").status_code == 204
    last = events(client.get(f"{url}?format=sse"))[-1]
    assert (last[0], last[1]["finish_reason"]) == ("done", "cancelled")
    assert client.post(f"{url}/stop").status_code == 204


def test_the_stop_form_leads_back_to_the_page(client, start):
    url = start("demo?pace=20")
    response = client.post(f"{url}/stop", data={"format": "html"})
    assert (response.status_code, response.headers["Location"]) == (303, f"{url}?format=html")


def test_a_deleted_stream_is_gone(client, start):
    url = start("demo?pace=20")
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == 404
    assert client.delete(url).status_code == 404


def test_head_follows_nothing(client, start):
    url = start("demo?pace=20")
    assert client.head(url).status_code == 200
    client.delete(url)


def test_a_page_drawn_again_shows_the_question_again(client):
    page = client.post("/chat", data={"prompt": "Where is <it>?", "format": "html"})
    again = client.get(page.headers["Content-Location"] + "?format=html")
    assert "Where is &lt;it&gt;?" in page.text.replace("&#60;", "&lt;").replace("&#62;", "&gt;")
    assert "Where is" in again.text


@pytest.mark.parametrize(
    ("asked", "may", "own", "reason"),
    [
        (True, True, None, "stop"),
        ("1", True, None, "stop"),
        (False, True, None, "abandoned"),
        (True, False, None, "abandoned"),
        (True, False, True, "stop"),
        (True, True, False, "abandoned"),
    ],
)
@pytest.mark.parametrize("path", ["/chat", "/streams"])
def test_an_answer_that_is_to_be_kept_goes_on_though_nobody_follows(make_app, path, asked, may, own, reason):
    key = KeySettings("a", digest("ms-a"), keep=own)
    client = make_app(keep=may, keys=(key,), grace=0.01, grace_new=0.2).test_client()
    asks = {"prompt": "Hi", "model": f"demo?hold={0.6 if reason == 'stop' else 30}&pace=100000", "keep": asked}
    with client.post(path, json=asks, headers={"Authorization": "Bearer ms-a"}) as response:
        url = response.headers.get("Content-Location") or response.json["url"]
    poll = {"headers": {"Authorization": "Bearer ms-a", "Accept": "application/json"}}
    with gevent.Timeout(30):
        while (said := client.get(url, **poll).json)["status"] in ("pending", "running"):
            gevent.sleep(0.05)
    last = said["events"][-1]
    assert (last.get("finish_reason") or last["error"]["code"]) == reason


def test_a_kept_answer_counts_among_its_callers_streams(make_app):
    client = make_app(keys=(KeySettings("a", digest("ms-a"), streams=1),), grace=0, grace_new=0.2).test_client()
    asks = {"json": {"prompt": "Hi", "model": "demo?hold=30", "keep": True}, "headers": {"x-api-key": "ms-a"}}
    url = client.post("/streams", **asks).json["url"]
    gevent.sleep(0.5)  # longer than anybody waits for who does not come
    assert client.post("/streams", **asks).status_code == 429
    assert client.delete(url, headers=asks["headers"]).status_code == 204


def test_keep_is_true_or_false(client):
    response = client.post("/chat", json={"prompt": "Hi", "keep": "maybe"})
    assert (response.status_code, response.json["error"]["param"]) == (400, "keep")
