"""Bodies and addresses as strangers send them: read as what they say, or refused with a word."""

from __future__ import annotations

import time

import pytest

from millstream.errors import RequestError
from millstream.views.fields import query_fields, read_fields

MULTIPART = b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'


def refusal(call, *arguments):
    with pytest.raises(RequestError) as caught:
        call(*arguments)
    return caught.value.code


@pytest.mark.parametrize(
    ("content_type", "body", "fields"),
    [
        ("text/plain; charset=iso-8859-1", b"caf\xe9", {"prompt": "café"}),
        ("text/plain; charset=GBK", "你好".encode("gbk"), {"prompt": "你好"}),
        ("text/plain; charset=utf-8", b"\xef\xbb\xbfHi", {"prompt": "Hi"}),
        ("application/vnd.x+json", b'{"prompt":"a","prompt":"b"}', {"prompt": "b"}),
        (
            'multipart/form-data; boundary="x"',
            MULTIPART % (b"prompt", b"Hi\r\nyou") + b"--x--",
            {"prompt": "Hi\nyou"},
        ),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=prompt; filename=q.txt\r\n\r\nHi\r\n--x--\r\n",
            {"prompt": "Hi"},
        ),
    ],
)
def test_a_body_is_read_as_what_it_says(content_type, body, fields):
    assert read_fields(content_type, body) == fields


@pytest.mark.parametrize(
    "charset",
    ["none", "undefined", "utf-7", "idna", "punycode", "unicode_escape", "hex", "rot13", "../../x", "*=utf-8''%00"],
)
def test_no_charset_can_do_harm(charset):
    assert refusal(read_fields, f"text/plain; charset={charset}", b"+2AA- \\ud800 \x80") == "bad_field"


def test_a_megabyte_in_a_slow_charset_takes_no_time():
    start = time.process_time()
    assert refusal(read_fields, "text/plain; charset=punycode", b"x-" + b"a" * 1_000_000) == "bad_field"
    assert time.process_time() - start < 5  # it took hours


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("multipart/form-data", b"abc", "bad_field"),
        ("multipart/form-data; boundary=x", b"", "bad_field"),
        ("multipart/form-data; boundary=x", MULTIPART % (b"prompt", b"cut"), "bad_field"),
        ("multipart/form-data; boundary=x", MULTIPART % (b"prompt", b"\xff") + b"--x--", "bad_field"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--", "bad_field"),
        ("multipart/form-data; boundary=x", (MULTIPART % (b"prompt", b"a")) * 2 + b"--x--", "bad_field"),
        ("multipart/form-data; boundary=x", (MULTIPART % (b"a", b"")) * 1000 + b"--x--", "bad_field"),
        ("multipart/form-data; boundary*=utf-8''%e4%bd%a0", b"--x--", "bad_field"),
        ("\xff\xfe;;;=", b"x", "unsupported_media_type"),
        ("application/json; charset=undefined", b"{", "bad_json"),
        ("application/json", b'{"a":' * 101 + b"1" + b"}" * 101, "bad_json"),
        ("application/json", b'{"a":[' + b"[]," * 200_000 + b"1]}", "bad_json"),
        ("application/x-www-form-urlencoded", b"messages=" + b"[" * 101 + b"]" * 101, "bad_json"),
        ("application/x-www-form-urlencoded", b"a=1&" * 51, "bad_field"),
    ],
)
def test_a_broken_body_is_refused(content_type, body, code):
    assert refusal(read_fields, content_type, body) == code


@pytest.mark.parametrize(
    "query", [b"prompt=%ff", b"prompt=\xff", b"a=1&a=2", b"&".join([b"a%d=" % n for n in range(51)])]
)
def test_a_broken_address_is_refused(query):
    assert refusal(query_fields, query) == "bad_field"


@pytest.mark.parametrize("format", ["[]", "{}", "5", "true", '"nonsense"'])
def test_a_format_of_any_type_is_refused_in_json(client, format):
    body = f'{{"prompt":"x","format":{format}}}'
    response = client.post("/chat", data=body, content_type="application/json")
    assert (response.status_code, response.json["error"]["param"]) == (400, "format")


@pytest.mark.parametrize("body", [{"prompt": "Hi"}, {}])
def test_a_last_event_id_in_the_body_resumes_too(client, body):
    id = client.post("/streams", json={"prompt": "Hi"}).json["id"]
    resumed = client.post("/chat?format=sse", json={**body, "last_event_id": f"{id}.0"})
    assert resumed.headers["X-Accel-Buffering"] == "no"
    assert f"id: {id}.1\n" in resumed.text


def test_a_packed_body_is_refused(client):
    response = client.post("/chat", data=b"x", headers={"Content-Encoding": "gzip", "Content-Type": "text/plain"})
    assert (response.status_code, response.json["error"]["param"]) == (415, "Content-Encoding")


def test_a_models_name_is_short(client):
    response = client.post("/chat", json={"prompt": "x", "model": "demo?" + "a" * 200})
    assert (response.status_code, response.json["error"]["param"]) == (400, "model")


def test_a_key_is_kept_as_a_digest_alone(client, app):
    id = client.post("/streams", json={"prompt": "Hi"}, headers={"Idempotency-Key": "my key"}).json["id"]
    claim = app.extensions["millstream"].streams.meta(id, "anyone").claim
    assert len(claim) == 64
    assert "my key" not in claim
