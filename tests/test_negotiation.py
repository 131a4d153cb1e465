"""Accept → the media type to answer with."""

import pytest

from millstream.negotiation import OFFERED, named, negotiate

TEXT, SSE, NDJSON, HTML, JSON = OFFERED

REAL = [
    ("curl, wget", "*/*", TEXT),
    ("wget 1.10", "*/*;q=1", TEXT),
    ("fetch, XMLHttpRequest, axios' body", "*/*", TEXT),
    ("axios", "application/json, text/plain, */*", TEXT),
    ("jQuery dataType json", "application/json, text/javascript, */*; q=0.01", JSON),
    ("jQuery dataType text", "text/plain, */*; q=0.01", TEXT),
    ("jQuery dataType html", "text/html, */*; q=0.01", HTML),
    ("jQuery dataType script", "text/javascript, application/javascript, application/ecmascript, */*; q=0.01", TEXT),
    ("EventSource in Chromium and Firefox", "text/event-stream", SSE),
    ("EventSource of a polyfill", "text/event-stream, */*", SSE),
    ("httpx-sse", "text/event-stream", SSE),
    ("MCP client", "application/json, text/event-stream", SSE),
    ("Python requests, httpx, aiohttp", "*/*", TEXT),
    ("openai SDK", "application/json", JSON),
    ("Ollama client", "application/x-ndjson, application/json;q=0.9", NDJSON),
    ("Java HttpURLConnection", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", HTML),
    ("Java's Spring RestTemplate", "text/plain, application/json, application/*+json, */*", TEXT),
    ("PHP, Go net/http and Node http send none", None, TEXT),
    ("Ruby Net::HTTP", "*/*", TEXT),
    ("lwp-request", "text/html, */*;q=0.1", HTML),
    (
        "Chromium 130",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
        "application/signed-exchange;v=b3;q=0.7",
        HTML,
    ),
    ("Chromium 49", "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8", HTML),
    ("Firefox 132", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
    ("Firefox 3", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
    (
        "Firefox 1, Netscape 7",
        "text/xml,application/xml,application/xhtml+xml,text/html;q=0.9,text/plain;q=0.8,image/png,*/*;q=0.5",
        HTML,
    ),
    ("Safari 17", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
    (
        "Safari 3, Chrome 4",
        "application/xml,application/xhtml+xml,text/html;q=0.9,text/plain;q=0.8,image/png,*/*;q=0.5",
        HTML,
    ),
    (
        "Opera 9 to 12",
        "text/html, application/xml;q=0.9, application/xhtml+xml, image/png, image/webp, image/jpeg, image/gif, "
        "image/x-xbitmap, */*;q=0.1",
        HTML,
    ),
    (
        "Internet Explorer 6",
        "image/gif, image/x-xbitmap, image/jpeg, image/pjpeg, application/x-shockwave-flash, "
        "application/vnd.ms-excel, application/msword, */*",
        TEXT,
    ),
    (
        "Internet Explorer 8",
        "image/jpeg, application/x-ms-application, image/gif, application/xaml+xml, image/pjpeg, "
        "application/x-ms-xbap, */*",
        TEXT,
    ),
    ("Internet Explorer 8 after a reload", "*/*", TEXT),
    ("Internet Explorer 9 to 11", "text/html, application/xhtml+xml, */*", HTML),
    ("links2, elinks", "*/*", TEXT),
    ("lynx", "text/html, text/plain, text/sgml, text/css, */*;q=0.01", TEXT),
    ("lynx 2.8.9", "text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01", TEXT),
    ("w3m", "text/html, text/*;q=0.5, image/*, application/*, audio/*, video/*", HTML),
    ("dillo", "text/html, text/plain;q=0.8, */*;q=0.1", HTML),
    (
        "Googlebot",
        "text/html,application/xhtml+xml,application/signed-exchange;v=b3,application/xml;q=0.9,*/*;q=0.8",
        HTML,
    ),
    ("an image tag in Chromium", "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", TEXT),
    ("an image tag in Firefox 132", "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", TEXT),
    ("an image tag in Firefox 3", "image/png,image/*;q=0.8,*/*;q=0.5", TEXT),
    (
        "an image tag in Safari 17",
        "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,"
        "image/*;q=0.8,*/*;q=0.5",
        TEXT,
    ),
    ("a style sheet", "text/css,*/*;q=0.1", TEXT),
    ("an image tag in Internet Explorer 9", "image/png, image/svg+xml, image/*;q=0.8, */*;q=0.5", TEXT),
]

RULES = [
    ("", TEXT),
    (" \t", TEXT),
    (" , ,", TEXT),
    ("text/*", TEXT),
    ("application/*", NDJSON),
    ("TEXT/HTML", HTML),
    ("text/event-stream;charset=utf-8", SSE),
    ('application/json;profile="a,b;q=0", text/plain;q=0.5', JSON),
    ('application/json;profile="a\\",b";q=0.4, text/plain;q=0.5', TEXT),
    ('application/json;profile="never closed, text/html', JSON),
    ("text/html;level=1;q=0.2, text/html;q=0.7, text/plain;q=0.5", HTML),
    ("application/json;q=0.5, text/event-stream;q=0.9", SSE),
    ("application/json, text/html", HTML),  # equal: the server's order
    ("text/*, application/json", JSON),  # equal: the more specific range
    ("*/*, text/*", TEXT),
    ("*/*, application/*;q=1.0", NDJSON),
    ("text/*;q=0.9, text/plain;q=0.1, */*;q=0.2", SSE),  # the specific range decides, even downwards
    ("*/*, text/plain;q=0", SSE),
    ("*/*;q=0.5, text/*;q=0", NDJSON),
    ("text/html ; Q = 0.3 , application/json;q=0.2", HTML),
    ("text/html;q=0.001", HTML),
    ("text/html;q=2, application/json;q=0.1", JSON),
    ("text/html;q=, application/json;q=0.1", JSON),
    ("text/html;q=-1, application/json;q=0.1", JSON),
    ("text/html;q=nan, application/json;q=0.1", JSON),
    ("text/html;q=1e0, application/json;q=0.1", JSON),
    ("text/html;q=\u0661, application/json;q=0.1", JSON),
    ("html, text / html, /html, text/, */html, application/json", JSON),
    ("*", TEXT),
    ("image/png", None),
    ("text/html;q=0", None),
    ("*/*;q=0", None),
    ("json", None),
    ("text/plain-text, xtext/plain", None),
]


@pytest.mark.parametrize(("client", "accept", "expected"), REAL, ids=[case[0] for case in REAL])
def test_each_client_gets_the_format_it_asks_for(client, accept, expected):
    assert negotiate(accept) == expected


@pytest.mark.parametrize(("accept", "expected"), RULES)
def test_the_rules_of_the_standard(accept, expected):
    assert negotiate(accept) == expected


def test_only_what_is_offered_is_given():
    assert negotiate("text/html, application/json;q=0.5", ("application/json",)) == JSON
    assert negotiate(None, (HTML, JSON)) == HTML
    assert negotiate("text/plain", (HTML, JSON)) is None


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/event-stream", True),
        ("image/png, Text/Event-Stream;charset=utf-8;q=0.1", True),
        ("text/event-stream;q=0", False),
        ("text/event-stream;q=x", False),
        ("text/*, */*", False),
        ('a/b;c="text/event-stream, text/event-stream"', False),
        ("", False),
        (None, False),
    ],
)
def test_a_type_is_named_only_where_it_is_spelled_out(accept, expected):
    assert named(accept, SSE) is expected
