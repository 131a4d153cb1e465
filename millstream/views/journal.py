"""Log one line for each finished response, and one for each stream that ended without a follower.

A line has no prompt, answer, key, address or query: only names that the server itself has given.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from time import monotonic

from flask import Flask, Response, g, request
from msgspec import Struct, json

from millstream.events import Event, Failure, Usage
from millstream.responses import Outlet
from millstream.streams import Row

log = logging.getLogger("millstream.requests")

Write = Callable[["Line"], None]
FILES = ("static", "scripts.")  # endpoints to log at debug level only: a page loads two dozen of them

LEFT = "left"  # the response ended before the answer: the client left, or the worker exited


class Line(Struct, omit_defaults=True):
    """One log line. `key` is the name of the access key, `end` says how the answer ended, `code` is the error's code,
    `bytes` counts the body."""

    time: str
    method: str = ""
    route: str = ""
    status: int = 0
    format: str = ""
    key: str = ""
    id: str = ""
    input: int | None = None
    output: int | None = None
    source: str = ""
    first_token_ms: float | None = None
    ms: float | None = None
    bytes: int | None = None
    end: str = ""
    code: str = ""
    upstream: str = ""
    upstream_status: int | None = None


class Unheard:
    """An Ends that logs streams without a follower. All other streams have their request's line."""

    def __init__(self, kind: str) -> None:
        self._write = WRITE[kind]

    def record(self, row: Row) -> None:
        if not row.heard:
            line = Line(_now(), key=row.caller, id=row.id, first_token_ms=_ms(row.first_token), ms=_ms(row.duration))
            line.upstream = row.upstream
            self._write(_with(line, row.usage, row.reason))


def register(app: Flask, kind: str) -> None:
    """Log the application's requests; `kind` is json or text."""
    app.before_request(_begin)
    app.after_request(partial(_await, WRITE[kind]))
    app.teardown_request(_release)


def _release(_: BaseException | None) -> None:
    """Break the reference cycle between Werkzeug's request and its environ."""
    request.environ.pop("werkzeug.request", None)


def _begin() -> None:
    g.begun = monotonic()


def _await(write: Write, response: Response) -> Response:
    """Note the request's facts now, because the request is gone when the stream ends."""
    line = Line(
        "",
        method=request.method,
        route=request.url_rule.rule if request.url_rule else "",
        status=response.status_code,
        format=response.mimetype or "",
        key=g.caller.name if "caller" in g else "",
        id=g.get("stream") or g.get("request_id", ""),
    )
    file = (request.endpoint or "").startswith(FILES) and response.status_code < 400
    if file and not log.isEnabledFor(logging.DEBUG):
        return response
    _blame(line, g.get("failure"))
    # A weak reference: the response keeps this object, and a cycle would hold the question until garbage collection.
    over = partial(_over, write, line, g.begun, weakref.ref(response), g.get("end"))
    if response.direct_passthrough:  # a static file: its response gets no call when it is over
        over()
    else:
        response.call_on_close(over)
    return response


def _over(write: Write, line: Line, begun: float, weak: weakref.ref[Response], end: Event | None) -> None:
    if (response := weak()) is None:
        return
    line.time, line.ms = _now(), _ms(monotonic() - begun)
    body = response.response
    if isinstance(body, Outlet):
        line.bytes = body.sent
        line.first_token_ms = None if body.first is None else _ms(body.first - begun)
        end = body.end
        line.end = LEFT
    else:
        line.bytes = 0 if line.method == "HEAD" else response.content_length
    if end is not None and end.end is not None:
        said = end.end
        if line.first_token_ms is None:
            line.first_token_ms = _ms(said.first_token)
        line.upstream = said.upstream
        _blame(line, said.failure)
        _with(line, said.usage, said.failure.code if said.failure else said.finish_reason or "stop")
    write(line)


def _blame(line: Line, failure: Failure | None) -> None:
    if failure is not None:
        line.code, line.upstream_status = failure.code, failure.upstream_status
        line.upstream = failure.upstream or line.upstream


def _with(line: Line, usage: Usage | None, end: str) -> Line:
    line.end = end
    if usage is not None:
        line.input, line.output, line.source = usage.input, usage.output, usage.source
    return line


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _json(line: Line) -> None:
    log.info("%s", json.encode(line).decode())  # escapes line ends, whatever a field holds


def _text(line: Line) -> None:
    """Log the line as text, without unknown fields."""
    tokens = "" if line.output is None else f"{line.input}+{line.output} tokens"
    said = (
        line.time,
        line.method,
        line.route,
        line.status or "",
        line.format,
        line.key,
        line.id,
        tokens + (" (estimated)" if line.source == "estimated" else ""),
        "" if line.first_token_ms is None else f"first after {line.first_token_ms:g} ms",
        "" if line.ms is None else f"{line.ms:g} ms",
        "" if line.bytes is None else f"{line.bytes} bytes",
        line.end or line.code,
        " ".join(str(part) for part in (line.code and line.upstream, line.upstream_status) if part),
    )
    text = " ".join(str(part) for part in said if part != "")
    log.info("%s", text if text.isprintable() else ascii(text))


WRITE: dict[str, Write] = {"json": _json, "text": _text}
