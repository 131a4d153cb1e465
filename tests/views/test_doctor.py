"""/doctor in the browser, and what it streams."""

from __future__ import annotations

import pytest

from millstream.doctor.diagnosis import Finding
from millstream.doctor.examination import Report


def test_marks_are_a_stream_that_any_format_can_follow(client):
    begun = client.post("/doctor/marks", json={"number": 3, "every": 0.01, "lead": 0, "silence": 0.05})
    assert begun.status_code == 201
    url = f"/streams/{begun.json['id']}"
    assert client.get(url).get_data() == b"mark 0;\nmark 1;\nmark 2;\nmark 3;\n"
    assert client.get(f"{url}?format=json").json["status"] == "done"


@pytest.mark.parametrize("fields", [{"number": 0}, {"every": 11}, {"silence": 1000}, {"lead": "x"}, {"more": 1}])
def test_bad_marks_are_refused(client, fields):
    refused = client.post("/doctor/marks", json=fields)
    assert (refused.status_code, refused.json["error"]["code"]) == (400, "bad_field")


def test_only_the_doctor_is_told_what_came_through(client):
    id = client.post("/doctor/marks", json={"number": 1, "lead": 0}).json["id"]
    asked = {"Accept": "text/event-stream", "Millstream-Doctor": "sse", "Last-Event-ID": f"{id}.0"}
    assert client.get(f"/streams/{id}", headers=asked).headers["Millstream-Doctor"] == "HTTP/1.1 last-event-id accept"
    assert "Millstream-Doctor" not in client.get(f"/streams/{id}").headers


@pytest.mark.parametrize("path", ["/doctor", "/doctor/marks"])
def test_another_sites_page_cant_start_it(client, path):
    refused = client.post(path, json={"url": "http://localhost"}, headers={"Origin": "http://evil.example"})
    assert (refused.status_code, refused.json["error"]["code"]) == (403, "bad_origin")


def test_the_page_shows_findings_with_their_lines(client, monkeypatch):
    findings = [Finding("http10", "Asked over <HTTP/1.0>.")]
    report = Report("http://localhost", [], findings, [Finding("vanished", "Clients stay.")], "nginx")
    monkeypatch.setattr("millstream.views.doctor.examine", lambda *_: report)
    page = client.post("/doctor", data={"url": "http://localhost/"}).get_data(as_text=True)
    assert "Asked over &lt;HTTP/1.0&gt;." in page
    assert "proxy_http_version 1.1;" in page
    assert "net.ipv4.tcp_retries2 = 5" in page
    assert "All well" not in page


def test_the_page_wants_an_address(client):
    assert 'name="url"' in client.get("/doctor").get_data(as_text=True)
    for url in ("ftp://x", "https://", "https://x\ny", 'https://x"\noutput = "/tmp/y'):
        assert client.post("/doctor", data={"url": url}).status_code == 400
    assert client.post("/doctor", data={"url": "http://x", "key": "a\r\nb"}).status_code == 400
    assert client.post("/doctor", data={"url": "http://x", "idle": "long"}).status_code == 400
