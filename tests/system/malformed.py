"""Requests that no server should be sent, as bytes. Each holds MARK where it can: it must not come out in the log."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator

MARK = b"do-not-log-this-7f3a91"
HEAD = b"Host: localhost\r\nConnection: close\r\n"
JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
ID = b"A" * 22
LARGE = 10_000_000


def get(path: bytes, headers: bytes = b"", method: bytes = b"GET") -> bytes:
    return b"%b %b HTTP/1.1\r\n%b%b\r\n" % (method, path, HEAD, headers)


def post(body: bytes, kind: bytes = JSON, headers: bytes = b"", path: bytes = b"/chat") -> bytes:
    return b"POST %b HTTP/1.1\r\n%bContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n%b" % (
        path,
        HEAD,
        kind,
        len(body),
        headers,
        body,
    )


def raw(framing: bytes, body: bytes = b"", path: bytes = b"/chat") -> bytes:
    """A POST whose framing is written out."""
    return b"POST %b HTTP/1.1\r\n%bContent-Type: text/plain\r\n%b\r\n%b" % (path, HEAD, framing, body)


def chunked(body: bytes, kind: bytes = b"text/plain") -> bytes:
    return b"POST /chat HTTP/1.1\r\n%bContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n%b" % (HEAD, kind, body)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def part(name: bytes, value: bytes = MARK) -> bytes:
    return b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name, value)


def _json() -> Iterator[tuple[str, bytes]]:
    quoted = b'"' + MARK + b'"'
    documents = {
        "empty": b"",
        "cut": b'{"prompt":' + quoted,
        "no object": b"[" + quoted + b"]",
        "a text": quoted,
        "null": b"null",
        "two documents": b'{"prompt":%b}{"prompt":%b}' % (quoted, quoted),
        "a comma too many": b'{"prompt":%b,}' % quoted,
        "single quotes": b"{'prompt':'%b'}" % MARK,
        "a comment": b'{"prompt":%b/* x */}' % quoted,
        "a control character": b'{"prompt":"%b\x01"}' % MARK,
        "a bad escape": b'{"prompt":"%b\\x"}' % MARK,
        "half a surrogate pair": b'{"prompt":"%b\\ud800"}' % MARK,
        "the wrong half": b'{"prompt":"%b\\udc00x"}' % MARK,
        "invalid UTF-8": b'{"prompt":"%b\xff\xfe"}' % MARK,
        "overlong UTF-8": b'{"prompt":"%b\xc0\xaf"}' % MARK,
        "a byte order mark": b'\xef\xbb\xbf{"prompt":"%b"}' % MARK,
        "UTF-16": (b'{"prompt":"%b"}' % MARK).decode().encode("utf-16"),
        "100,000 lists": b'{"prompt":' + b"[" * 100_000,
        "100,000 lists, closed": b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "100,000 objects": b'{"a":' * 100_000,
        "NaN": b'{"prompt":%b,"temperature":NaN}' % quoted,
        "Infinity": b'{"prompt":%b,"temperature":Infinity}' % quoted,
        "1e400": b'{"prompt":%b,"temperature":1e400}' % quoted,
        "-1e400": b'{"prompt":%b,"temperature":-1e400}' % quoted,
        "5,000 digits": b'{"prompt":%b,"max_tokens":%b}' % (quoted, b"9" * 5000),
        "4,000 digits": b'{"prompt":%b,"max_tokens":%b}' % (quoted, b"9" * 4000),
        "5,000 decimals": b'{"prompt":%b,"top_p":2.%b}' % (quoted, b"9" * 5000),
        "01": b'{"prompt":%b,"max_tokens":01}' % quoted,
        "+1": b'{"prompt":%b,"max_tokens":+1}' % quoted,
        "0x10": b'{"prompt":%b,"max_tokens":0x10}' % quoted,
        "the same number twice": b'{"prompt":%b,"max_tokens":1,"max_tokens":0}' % quoted,
        "100,000 fields": b'{"prompt":%b,%b"z":1}' % (quoted, b'"a":1,' * 100_000),
        "a field's name of 900 KB": b'{"prompt":%b,"%b":1}' % (quoted, b"n" * 900_000),
        "an empty field's name": b'{"prompt":%b,"":1}' % quoted,
        "__proto__": b'{"prompt":%b,"__proto__":{"format":"sse"}}' % quoted,
    }
    for name, document in documents.items():
        yield f"JSON: {name}", post(document)


def _types() -> Iterator[tuple[str, bytes]]:
    wrong = {
        b"prompt": (b"5", b"true", b'["x"]', b'{"x":1}', b'" \\n"'),
        b"system": (b"5", b"[]", b"{}"),
        b"messages": (b'"x"', b"5", b"{}", b"[]", b"[5]", b'["x"]', b"[null]", b"[[]]", b'[{"role":"user"}]'),
        b"model": (
            b"5",
            b"[]",
            b"{}",
            b"true",
            b'"%b"' % (b"m" * 900_000),
            b'"../../x"',
            b'"a\\u0000b"',
            b'"demo?x=\\r\\n"',
        ),
        b"preset": (b"5", b"[]", b'{"a":1}', b'"../x"'),
        b"temperature": (b'"hot"', b"[]", b"{}", b"true", b"-1", b"2.1", b'"nan"', b'"inf"'),
        b"top_p": (b'"x"', b"[]", b"-0.1", b"1.1"),
        b"max_tokens": (b'"x"', b"1.5", b"0", b"-1", b"1000001", b"false", b"[]"),
        b"stop": (b"5", b"[]", b"[5]", b'[""]', b'["a","b","c","d","e"]', b"{}", b'""'),
        b"format": (b"5", b"[]", b"{}", b"true", b'"pdf"', b'"../sse"'),
        b"padding": (b"-1", b"1.5", b"[]", b"1e9", b'"x"', b"9007199254740993"),
        b"idempotency_key": (b"[]", b"{}", b'"\\u0000"', b'"%b"' % (b"k" * 201)),
        b"once": (b"[]", b"{}"),
        b"last_event_id": (b"5", b"[]", b'"x"', b'"%b.-1"' % ID, b'"%b.1\\n"' % ID),
    }
    for field, values in wrong.items():
        for value in values:
            rest = b"" if field == b"prompt" else b',"prompt":"%b"' % MARK if field != b"messages" else b""
            yield f"{field.decode()}: {value[:30].decode()}", post(b'{"%b":%b%b}' % (field, value, rest))
    message = b'{"messages":[{"role":%b,"content":%b}]}'
    for role, content in (
        (b'"tool"', b'"x"'),
        (b"5", b'"x"'),
        (b"[]", b'"x"'),
        (b"null", b'"x"'),
        (b'"user"', b"5"),
        (b'"user"', b"null"),
        (b'"user"', b'{"a":1}'),
        (b'"user"', b'"x","name":"y"'),
    ):
        yield f"messages: {role.decode()} says {content.decode()}", post(message % (role, content))


def _bodies() -> Iterator[tuple[str, bytes]]:
    large = MARK.ljust(LARGE, b"x")
    yield "10 MB of text", post(large, b"text/plain")
    yield "21 MB of JSON", post(b'{"prompt":"' + MARK.ljust(21 << 20, b"x") + b'"}')  # 20 MiB are taken, for pictures
    yield "10 MB of a form", post(b"prompt=" + large, FORM)
    yield "10 MB in chunks", chunked(b"".join([chunk(bytes(65536).replace(b"\0", b"x"))] * 160) + b"0\r\n\r\n")
    yield "10 MB in one chunk", chunked(chunk(large) + b"0\r\n\r\n")
    yield "10 MB in chunks of one byte, begun", chunked(b"1\r\nx\r\n" * 400_000)
    yield "10 MB of multipart", post(part(b"prompt", large) + b"--x--", b"multipart/form-data; boundary=x")
    yield "10 MB of multipart in chunks", chunked(chunk(part(b"prompt", large)), b"multipart/form-data; boundary=x")
    yield "a length that never comes", raw(b"Content-Length: 1000\r\n", MARK)
    yield "a length beyond all", raw(b"Content-Length: %b\r\n" % (b"9" * 30), MARK)
    yield "gzip", post(gzip.compress(MARK), b"text/plain", b"Content-Encoding: gzip\r\n")
    bomb = gzip.compress(b'{"prompt":"' + bytes(50_000_000) + b'"}')
    yield "a gzip bomb", post(bomb, JSON, b"Content-Encoding: gzip\r\n")
    yield "a gzip bomb that says nothing", post(bomb, JSON)
    yield "deflate, br", post(MARK, b"text/plain", b"Content-Encoding: deflate, br\r\n")
    for kind in (
        b"image/png",
        b"text/html",
        b"garbage",
        b"\xff\xfe;;;=",
        b"application/xml",
        b"text/plain; charset=none-such",
        b"text/plain; charset=undefined",
        b"text/plain; charset=utf-7",
        b"text/plain; charset=punycode",
        b"text/plain; charset=unicode_escape",
        b"text/plain; charset=idna",
        b"text/plain; charset=hex",
        b"text/plain; charset=zlib",
        b"text/plain; charset*=utf-8''%00",
        b"text/plain; charset*=none''%ff",
        b"text/plain; charset=" + b"c" * 5000,
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=\xff",
        b"multipart/form-data; boundary*=utf-8''%e4%bd%a0",
        b"multipart/mixed; boundary=x",
    ):
        yield f"Content-Type: {kind[:50]!r}", post(MARK + b" +2AA- \\ud800 \xff", kind)
    for kind in (b"application/json\r\nContent-Type: text/plain",):
        yield "two Content-Types", post(b'{"prompt":"x"}', kind)
    multipart = b"multipart/form-data; boundary=x"
    yield "multipart, cut in a value", post(part(b"prompt")[:-3], multipart)
    yield "multipart, cut in a header", post(part(b"prompt")[:20], multipart)
    yield "multipart of 1,000 parts", post(b"".join(part(b"a%d" % n) for n in range(1000)) + b"--x--", multipart)
    yield "multipart without a name", post(b"--x\r\n\r\nabc\r\n--x--", multipart)
    yield "multipart, not UTF-8", post(part(b"prompt", b"\xff") + b"--x--", multipart)
    yield "multipart, a name not UTF-8", post(part(b"\xff") + b"--x--", multipart)
    yield "multipart, twice the same", post(part(b"prompt") * 2 + b"--x--", multipart)
    yield "multipart, a header of 900 KB", post(b"--x\r\nX: " + b"x" * 900_000, multipart)
    yield "text that is not UTF-8", post(MARK + b"\xff", b"text/plain")
    yield "a form that is not UTF-8", post(b"prompt=" + MARK + b"\xff", FORM)
    yield "a form that is not UTF-8 in percents", post(b"prompt=" + MARK + b"%ff%fe", FORM)
    yield "a form of 1,000 fields", post(b"prompt=x&" + b"a=1&" * 1000, FORM)
    yield "a form with a field twice", post(b"prompt=a&prompt=b", FORM)
    yield "a form with an unknown field", post(b"promt=" + MARK, FORM)
    yield "a form with messages that are no JSON", post(b"messages=[" + MARK, FORM)
    yield "a form with messages 100,000 deep", post(b"messages=" + b"[" * 100_000, FORM)
    yield "a field in the address and in the body", post(b'{"prompt":"x"}', JSON, path=b"/chat?prompt=y")
    for path in (
        b"/streams",
        b"/chat?format=sse",
        b"/chat?format=json",
        b"/chat?format=ndjson",
    ):
        yield f"nothing to ask at {path.decode()}", post(b'{"system":"%b"}' % MARK, path=path)


def _framing() -> Iterator[tuple[str, bytes]]:
    te = b"Transfer-Encoding: chunked\r\n"
    ends = b"0\r\n\r\n"
    for name, framing in {
        "TE and CL": te + b"Content-Length: 3\r\n",
        "CL and TE": b"Content-Length: 3\r\n" + te,
        "two TEs": te * 2,
        "chunked twice": b"Transfer-Encoding: chunked, chunked\r\n",
        "chunked not last": b"Transfer-Encoding: chunked, gzip\r\n",
        "gzip alone": b"Transfer-Encoding: gzip\r\n",
        "identity": b"Transfer-Encoding: identity\r\n",
        "an unknown coding": b"Transfer-Encoding: xchunked\r\n",
        "chunked, in quotes": b'Transfer-Encoding: "chunked"\r\n',
        "a VT before chunked": b"Transfer-Encoding: \x0bchunked\r\n",
        "a space before the colon": b"Transfer-Encoding : chunked\r\n",
        "a folded TE": b"Transfer-Encoding:\r\n chunked\r\n",
        "two CLs": b"Content-Length: 3\r\nContent-Length: 3\r\n",
        "two different CLs": b"Content-Length: 3\r\nContent-Length: 30\r\n",
        "a list of CLs": b"Content-Length: 3, 3\r\n",
        "a negative CL": b"Content-Length: -3\r\n",
        "a CL with a plus": b"Content-Length: +3\r\n",
        "a hex CL": b"Content-Length: 0x3\r\n",
        "a CL of a superscript": b"Content-Length: \xb2\r\n",
        "a CL of words": b"Content-Length: three\r\n",
        "an empty CL": b"Content-Length: \r\n",
        "a CL of 5,000 digits": b"Content-Length: %b\r\n" % (b"9" * 5000),
        "a CL with a fraction": b"Content-Length: 3.0\r\n",
        "a folded header": b"X: a\r\n b\r\nContent-Length: 3\r\n",
        "a NUL in a header": b"X: a\0b\r\nContent-Length: 3\r\n",
        "a CR in a header": b"X: a\rb\r\nContent-Length: 3\r\n",
        "a bare LF": b"X: a\nContent-Length: 3\r\n",
        "a header without a colon": b"X\r\nContent-Length: 3\r\n",
        "a header without a name": b": x\r\nContent-Length: 3\r\n",
        "a space in a header's name": b"X Y: z\r\nContent-Length: 3\r\n",
        "a header's name not ASCII": b"X\xff: z\r\nContent-Length: 3\r\n",
        "two Hosts": b"Host: localhost\r\nContent-Length: 3\r\n",
        "two different Hosts": b"Host: evil.example\r\nContent-Length: 3\r\n",
        "10,000 headers": b"X: y\r\n" * 10_000,
        "a header of 1 MB": b"X: %b\r\n" % (b"y" * 1_000_000),
        "a header's name of 1 MB": b"%b: y\r\n" % (b"y" * 1_000_000),
        "nonsense expected": b"Expect: nonsense\r\nContent-Length: 3\r\n",
        "too much expected": b"Expect: 100-continue, x\r\nContent-Length: 3\r\n",
    }.items():
        yield name, raw(framing, MARK + ends)
    yield "chunked over HTTP/1.0", raw(te, MARK + ends).replace(b"HTTP/1.1", b"HTTP/1.0")
    for name, body in {
        "no hex": b"zz\r\n",
        "negative": b"-1\r\n",
        "0x": b"0x3\r\nabc\r\n",
        "with a space": b"3 \r\nabc\r\n",
        "empty": b"\r\n",
        "huge": b"f" * 16 + b"\r\n" + MARK,
        "beyond all": b"f" * 5000 + b"\r\n" + MARK,
        "endless": b"1" * 1_000_000,
        "too small": b"1\r\nabc\r\n",
        "too large": b"10\r\nabc\r\n0\r\n\r\n",
        "with a bad extension": b"3;\x01\r\nabc\r\n",
        "with an endless extension": b"3;" + b"a" * 1_000_000,
        "with a bare LF": b"3\nabc\r\n0\r\n\r\n",
    }.items():
        yield f"a chunk's size: {name}", chunked(body)
    yield "a chunk without an end", chunked(b"5\r\nab")
    yield "chunks without an end", chunked(chunk(MARK))
    yield "no chunk at all", chunked(b"")
    yield "a trailer of nonsense", chunked(chunk(MARK) + b"0\r\nx y\r\n\r\n")
    yield "a trailer with a length", chunked(chunk(MARK) + b"0\r\nContent-Length: 3\r\n\r\n")
    yield "an endless trailer", chunked(chunk(MARK) + b"0\r\n" + b"X: y\r\n" * 200_000)


def _request_lines() -> Iterator[tuple[str, bytes]]:
    for line in (
        b"GET /",
        b"GET",
        b"",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/9.9",
        b"GET / HTTP/2.0",
        b"GET / HTTP/0.9",
        b"GET / HTTP/1.10",
        b"GET / HTTP/1",
        b"GET / http/1.1",
        b"GET / FTP/1.1",
        b"GET / HTTP/1.1 x",
        b"GET /a b HTTP/1.1",
        b"GET /\0 HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"GET /chat?prompt=\xff&format=sse HTTP/1.1",
        b"GET \\ HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET localhost HTTP/1.1",
        b"get / HTTP/1.1",
        b"G#T / HTTP/1.1",
        b"G\0T / HTTP/1.1",
        b"G\xc9T / HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"A" * 100 + b" / HTTP/1.1",
        b"A" * 1_000_000,
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1",
        b"GET /chat?prompt=" + b"a" * 100_000 + b" HTTP/1.1",
        b"GET /%00%0d%0aX:%20y HTTP/1.1",
        b"GET /../../etc/passwd HTTP/1.1",
        b"GET /static/../app.py HTTP/1.1",
        b"GET /static/..%2f..%2fapp.py HTTP/1.1",
        b"GET /static/%2e%2e/app.py HTTP/1.1",
        b"GET /static/..%5capp.py HTTP/1.1",
        b"GET /static//etc/passwd HTTP/1.1",
        b"GET /static/%00 HTTP/1.1",
        b"GET /static/" + b"a" * 5000 + b" HTTP/1.1",
        b"GET http://[/ HTTP/1.1",
        b"GET http://localhost:99999/nothing HTTP/1.1",
        b"CONNECT localhost:80 HTTP/1.1",
        b"TRACE /chat HTTP/1.1",
        b"PUT /chat HTTP/1.1",
        b"PATCH /streams HTTP/1.1",
        b"DELETE /chat HTTP/1.1",
        b"PROPFIND / HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2",
    ):
        yield f"{line[:50]!r}", line + b"\r\n" + HEAD + b"\r\n"
    for host in (
        b"evil.example",
        b"[",
        b"a b",
        b"\xff",
        b"localhost@evil.example",
        b"localhost/x",
        b"h" * 5000,
        b"",
        b":80",
    ):
        yield f"Host: {host[:30]!r}", b"GET / HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % host
    yield "no Host", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
    for query in (
        b"prompt=%ff",
        b"prompt=a&prompt=b",
        b"promt=x",
        b"prompt=",
        b"%ff=x",
        b"messages=[",
        b"padding=-1",
    ):
        yield f"GET /chat?{query.decode()}", get(b"/chat?format=sse&" + query)
    yield "GET /chat with 900 fields", get(b"/chat?format=sse&" + b"&".join(b"a%d=" % n for n in range(900)))


def _headers() -> Iterator[tuple[str, bytes]]:
    good = b'{"prompt":"%b"}' % MARK
    for value in (
        b"x",
        ID,
        ID + b".",
        ID + b".-1",
        ID + b"." + b"9" * 30,
        b"\xff",
        b"a\x7fb",
        b"a\0b",
        b"a\rb",
        b"x" * 1_000_000,
    ):
        yield f"Last-Event-ID: {value[:30]!r}", post(good, headers=b"Last-Event-ID: %b\r\n" % value)
        yield f"followed, Last-Event-ID: {value[:30]!r}", get(b"/streams/" + ID, b"Last-Event-ID: %b\r\n" % value)
    for value in (b"k" * 201, b"\x7f", b"a\x80", b"\xad", b'"a\0"', b"k" * 100_000):
        yield f"Idempotency-Key: {value[:30]!r}", post(good, headers=b"Idempotency-Key: %b\r\n" % value)
    for value in (
        b"image/png",
        b"q=999",
        b"text/plain;q=999",
        b"text/plain;q=-1",
        b"*/*;q=0",
        b"\xff",
        b"text",
        b";;;",
        b"a" * 100_000,
    ):
        yield f"Accept: {value[:30]!r}", post(good, headers=b"Accept: %b\r\n" % value)
    yield "100 KB of Accept", post(good, headers=b"Accept: %b\r\n" % (b"image/png;q=0.1," * 500) * 14)
    for value in (b"https://evil.example", b"http://[", b"\xff", b"http://localhost@evil.example", b"javascript:x"):
        yield f"Origin: {value!r}", post(good, headers=b"Origin: %b\r\n" % value)
    for name in (b"X-Forwarded-For", b"Forwarded", b"X-Forwarded-Host"):
        yield f"{name.decode()} without a proxy", post(good, headers=name + b": 127.0.0.1\r\n")
    for value in (
        b"bytes=0-",
        b"bytes=-1",
        b"bytes=a-b",
        b"bytes=" + b"0-0," * 1500,
        b"lines=1-",
        b"bytes=%b-" % (b"9" * 30),
    ):
        yield f"Range: {value[:30]!r}", get(b"/streams/" + ID, b"Range: %b\r\n" % value)
    for id in (
        b"x",
        b"A" * 21,
        b"A" * 23,
        b"%2e%2e",
        b"%00" * 22,
        b"%ff" * 22,
        b"..%2f..%2fetc%2fpasswd",
        b"A" * 21 + b"%0a",
        ID,
    ):
        yield f"GET /streams/{id.decode()}", get(b"/streams/" + id)
        yield f"DELETE /streams/{id.decode()}", get(b"/streams/" + id, method=b"DELETE")
        yield f"stop of /streams/{id.decode()}", get(b"/streams/%b/stop" % id, method=b"POST")
    for query in (
        b"after=-1",
        b"after=x",
        b"after=1e3",
        b"offset=%ff",
        b"wait=x",
        b"format=pdf",
        b"padding=99999999",
    ):
        yield f"/streams/…?{query.decode()}", get(b"/streams/%b?%b" % (ID, query))


def _noise() -> Iterator[tuple[str, bytes]]:
    yield "a TLS ClientHello", bytes.fromhex("16030100c8010000c40303") + bytes(200)
    yield "an SSH banner", b"SSH-2.0-OpenSSH_9.2\r\n"
    yield "an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "nothing", b""
    yield "a line end", b"\r\n"
    yield "line ends", b"\r\n" * 10_000
    yield "1 MB without a line end", b"x" * 1_000_000
    dice = random.Random(1)
    for n in range(20):
        yield f"noise {n}", dice.randbytes(dice.randrange(1, 5000))
        good = bytearray(post(b'{"prompt":"%b","max_tokens":0}' % MARK))
        for _ in range(5):
            good[dice.randrange(len(good))] = dice.randrange(256)
        yield f"a request with five bytes wrong {n}", bytes(good)


CASES: dict[str, bytes] = {
    name: data
    for make in (_json, _types, _bodies, _framing, _request_lines, _headers, _noise)
    for name, data in make()
}

# Odd, but what is meant is clear: these may be served.
ODD: dict[str, bytes] = {
    "a field twice in JSON": post(b'{"prompt":"a","prompt":"b"}'),
    "a Range that is none": post(b'{"prompt":"a"}', headers=b"Range: bytes=a-b\r\n"),
    "a bad percent": get(b"/chat?format=sse&prompt=%zz"),
    "two slashes": get(b"//chat?format=sse&prompt=x"),
    "the whole address": get(b"http://localhost/chat?format=sse&prompt=x"),
    "a key that is not ASCII": post(b'{"prompt":"a"}', headers=b"Idempotency-Key: \xe9\r\n"),
    "NULs in the prompt": post(b'{"prompt":"a\\u0000b"}'),
    "lines like a protocol's": post(b'{"prompt":"data: x\\n\\nevent: done\\r\\n\\r\\n"}'),
    "100 Continue": post(b'{"prompt":"a"}', headers=b"Expect: 100-continue\r\n"),
    "a chunk extension": chunked(b"2;a=b\r\nHi\r\n0\r\n\r\n"),
    "a trailer": chunked(b"2\r\nHi\r\n0\r\nX: y\r\n\r\n"),
    "a Prefer of nonsense": post(b'{"prompt":"a"}', headers=b"Prefer: wait=-1, \xff\r\n"),
    "HTTP/1.0": post(b'{"prompt":"a"}').replace(b"HTTP/1.1", b"HTTP/1.0"),
    "OPTIONS": get(b"/chat", method=b"OPTIONS"),
    "a GET with a body": get(b"/chat?format=sse&prompt=x", b"Content-Length: 3\r\n") + b"abc",
}
