"""/streams: start an answer without following it; follow, resume, stop and erase a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Literal

from flask import Blueprint, Response, g, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue

from millstream.access import Caller
from millstream.errors import MillstreamError, NotFound, RequestError
from millstream.events import TERMINAL, Event, Meta, to_operator
from millstream.formats import Format
from millstream.formats.html import Html
from millstream.formats.json import Json, events
from millstream.formats.text import Text
from millstream.responses import HEADERS, Outlet, head, stream_response
from millstream.sockets.client import Client
from millstream.streams import Follower
from millstream.views import intake
from millstream.views.question import controls, question
from millstream.views.services import services
from millstream.views.transport import via

streams = Blueprint("streams", __name__)

ID = re.compile(r"[A-Za-z0-9_-]{22}")
EVENT_ID = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9]{1,15})")
RANGE = re.compile(r"bytes=([0-9]{1,15})-")
ENDLESS = 2**53 - 1  # RFC 8673: the last byte is unknown; this is the largest number that JavaScript keeps exactly


@streams.post("/streams")
def start() -> ResponseReturnValue:
    """Start an answer without following it; answer 201 with its address."""
    caller = intake.caller(starts=True)
    asked = question(intake.asked())
    meta = intake.begin(caller, asked, keep_messages=asked.controls.get("format") == Html.NAME)
    services().streams.accepted(meta.id, services().settings.status_wait)
    url = f"{request.script_root}/streams/{meta.id}"
    return {"id": meta.id, "url": url}, 201, {"Location": url, **HEADERS}


@streams.get("/streams/<id>")
def follow(id: str) -> Response:
    """Follow or resume a stream. Any number of clients can follow it at once."""
    caller = intake.caller(starts=False)
    fields = intake.query()
    return resume(caller, id, _position(id, fields), controls(fields))


@streams.post("/streams/<id>/stop")
def stop(id: str) -> ResponseReturnValue:
    """Stop the stream. The text so far stays readable."""
    caller = intake.caller(starts=True)
    services().streams.stop(_meta(id, caller))
    form = intake.fields() if request.content_length else {}
    if form.get("format") == Html.NAME:
        return redirect(url_for("streams.follow", id=id, format=Html.NAME), code=303)
    return Response(status=204)


@streams.delete("/streams/<id>")
def delete(id: str) -> Response:
    """Stop the stream and erase it."""
    caller = intake.caller(starts=True)
    services().streams.delete(_meta(id, caller))
    return Response(status=204)


# -- resuming ---------------------------------------------------------------------------------------------------


def last_event_id(fields: Mapping[str, str]) -> tuple[str, int] | None:
    """Return the stream and the position in a Last-Event-ID, from the header or the query string. Raises
    RequestError."""
    value = request.headers.get("Last-Event-ID") or fields.get("last_event_id") or fields.get("lastEventId")
    if not value:
        return None
    match = EVENT_ID.fullmatch(value)
    if not match:
        raise RequestError(
            "bad_position", "This Last-Event-ID is none of ours; leave it out to start anew.", param="Last-Event-ID"
        )
    return match[1], int(match[2])


def meta(id: str, caller: Caller) -> Meta:
    """Return the stream's Meta. Raises NotFound."""
    if not ID.fullmatch(id):
        raise NotFound
    return services().streams.meta(id, caller.name)


def _meta(id: str, caller: Caller) -> Meta:
    """Return the stream's Meta, and note the stream for the log line. Raises NotFound."""
    found = meta(id, caller)
    g.stream = id
    return found


def _position(id: str, fields: Mapping[str, str]) -> int:
    found = last_event_id(fields)
    if found and found[0] != id:
        raise RequestError(
            "bad_position",
            "This Last-Event-ID is for another stream; leave it out.",
            param="Last-Event-ID",
        )
    if found:
        return found[1]
    return intake.whole_number("after", fields.get("after", "0"))


def resume(caller: Caller, id: str, after: int, asked: dict[str, str]) -> Response:
    """Resume a stream after event `after`."""
    format = intake.choose_format(asked.get("format"))
    padding = intake.padding(asked)
    meta = _meta(id, caller)
    if request.method == "HEAD":
        return head(format)
    _count(after or int(asked.get("offset", "0") != "0" or "Range" in request.headers))
    if after and services().streams.at(id, after) is None:
        services().streams.reach(id, after=after)
    if format is Json:
        return _poll(meta, after, asked)
    if format is Html:
        after = 0  # a page is drawn whole
    if after and (event := services().streams.at(id, after)) and event.type in TERMINAL:
        if format is Text:
            raise_failure(event)  # the format can't express a failure
        return Response(status=204, headers=HEADERS)
    if format is Text:
        return _resume_text(meta, after, asked, padding)
    with following(meta, after) as (follower, client):
        return streamed(follower, format(meta, intake.options(id, padding, position=after)), client)


def _count(resumes: int) -> None:
    format, transport = via()
    intake.count_step_down()
    if resumes and format != Json.NAME:  # a poll is no resume, though each has a position
        services().metrics.resumed(format, transport)


def _resume_text(meta: Meta, after: int, asked: dict[str, str], padding: int) -> Response:
    """Resume text by bytes: `Range: bytes=N-` (206, so that `curl -C -` continues) or `?offset=N`."""
    use = services().streams
    # RFC 9110, 14.2: Range is for GET. 13.1.5: If-Range never matches, because we send no validator.
    asks = request.method == "GET" and "If-Range" not in request.headers
    ranged = RANGE.fullmatch(request.headers.get("Range", "")) if asks else None
    offset = int(ranged[1]) if ranged else intake.whole_number("offset", asked.get("offset", "0"))
    if ranged or offset:
        after = 0
    past = use.history(meta.id)
    if offset > len(past.text.encode()) and not past.terminal:
        use.reach(meta.id, offset=offset)
        past = use.history(meta.id)
    have = len(past.text.encode())
    if past.terminal and offset >= have:
        raise_failure(past.terminal)  # a plain "nothing left" would look like success to curl
    if offset > have and not past.terminal:
        if error := use.missing(meta, offset=offset):
            raise error
        return _resume_text(meta, after, asked, padding)  # it has come meanwhile
    if offset > have or (past.terminal and offset == have and (offset or ranged)):
        raise RequestError(
            "bad_range", f"There is nothing after byte {have}.", headers={"Content-Range": f"bytes */{have}"}
        )
    if ranged:
        padding = 0  # Content-Range counts every byte of the body
    with following(meta, after) as (follower, client):
        response = streamed(follower, Text(meta, intake.options(meta.id, padding, offset=offset)), client)
    if ranged:
        done = past.terminal and past.terminal.type == "done"
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {offset}-" + (f"{have - 1}/{have}" if done else f"{ENDLESS}/*")
    return response


def _poll(meta: Meta, after: int, asked: dict[str, str]) -> Response:
    """Answer one long poll: with the events so far, or with those that arrive within RFC 7240's `wait`."""
    use = services().streams
    seconds = _wait(asked)
    with following(meta, after) as (follower, client):
        last = use.at(meta.id, after) if after else None
        over = last is not None and last.type in TERMINAL
        batch = [] if over else _next(follower, seconds)
        client.unwatch()
        follower.leave()
    last = batch[-1] if batch else last
    if intake.by_operator():
        batch = [to_operator(event) for event in batch]
    response = jsonify(
        id=meta.id, status=use.state(meta, last), events=events(batch), last=last.n if last is not None else 0
    )
    response.headers.extend(HEADERS)
    return response


def _next(follower: Follower, seconds: float) -> list[Event]:
    """Return the next events if some arrive in time; heartbeats don't count."""
    until = monotonic() + seconds
    batch = follower.take(0)
    while batch == [] and (left := until - monotonic()) > 0:
        batch = follower.take(left)
    return batch or []


def _wait(asked: Mapping[str, str]) -> float:
    preferred = re.search(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,6})", request.headers.get("Prefer", ""))
    seconds = int(preferred[1]) if preferred else intake.whole_number("wait", asked.get("wait", "0"))
    return min(float(seconds), services().settings.poll_max)


# -- what /chat shares ------------------------------------------------------------------------------------------


@contextmanager
def following(meta: Meta, after: int = 0) -> Iterator[tuple[Follower, Client]]:
    """Follow a stream for the client that is asking, and notice its leaving from here on. Lets both go if anything is
    raised; else the response does it when it is over, or the block itself where it makes a whole response."""
    client = Client(request.environ, direct=True)
    follower = services().streams.follow(meta, after, client)
    client.limit_buffer(services().settings.sndbuf)
    gone: list[Literal[True]] = []

    def left() -> None:
        gone.append(True)
        follower.leave()

    client.watch(left)
    try:
        yield follower, client
    except BaseException as error:
        client.unwatch()
        if gone and isinstance(error, MillstreamError):
            raise follower.unfinished() from error
        follower.leave()
        raise


def streamed(follower: Follower, format: Format, client: Client) -> Response:
    """Return a response that keeps its follower until it is over. Raises why there is none, if the client has closed
    its side of the connection: it may still read."""
    if follower.left:
        raise follower.unfinished()
    metrics, way = services().metrics, via()
    metrics.opened(*way)

    def left() -> None:
        follower.leave()
        metrics.closed(*way)

    show = to_operator if intake.by_operator() else None
    response = stream_response(follower.take, format, client, left, show)
    body = response.response
    assert isinstance(body, Outlet)
    follower.write, body.wake, body.ready = body.write, follower.nudge, follower.ready
    return response


def raise_failure(event: Event) -> None:
    """Raise the error of a `failed` event."""
    if event.end and event.end.failure:
        raise MillstreamError.of(event.end.failure)
