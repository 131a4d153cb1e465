"""The other addresses of /v1/responses: read, follow, cancel and delete a response by its id."""

from __future__ import annotations

from time import monotonic

from flask import Blueprint, Response, request
from msgspec.structs import replace

from millstream.dialects.fields import decode
from millstream.dialects.foreign import Object
from millstream.dialects.responses.answer import Writer
from millstream.dialects.responses.door import RESPONSES
from millstream.dialects.responses.ids import stream_id
from millstream.dialects.responses.response import response, whole
from millstream.dialects.table import NAMED
from millstream.errors import RequestError
from millstream.events import TERMINAL, Meta
from millstream.upstreams.estimate import prompt_tokens
from millstream.views import doors, intake, streams
from millstream.views.services import services

responses = Blueprint("responses_by_id", __name__, url_prefix=RESPONSES.path)

STOPPING = 5.0  # s to wait for the end of a stopped answer, which may run in another worker
PAGE = 20  # items


@responses.get("/<string(minlength=20):id>")
def retrieve(id: str) -> Response:
    """Return the response so far; with `stream=true` its events after the number `starting_after`."""
    meta = _meta(id, starts=False)
    if request.args.get("stream") != "true":
        return doors.document(_object(meta))
    after = request.args.get("starting_after")
    skip = -1 if after is None else intake.whole_number("starting_after", after)
    if skip >= 0:
        _check(meta, skip)
    meta = replace(meta, kept=None)
    with streams.following(meta) as (follower, client):
        return doors.follow(Writer(meta, skip), follower, client)


@responses.post("/<string(minlength=20):id>/cancel")
def cancel(id: str) -> Response:
    """Stop the response. The text so far stays readable."""
    meta = _meta(id, starts=True)
    services().streams.stop(meta)
    follower = services().streams.follow(meta)
    until = monotonic() + STOPPING
    batch = follower.take(STOPPING)
    while batch is not None and not (batch and batch[-1].type in TERMINAL) and monotonic() < until:
        batch = follower.take(until - monotonic())
    follower.leave()
    return doors.document(_object(meta))


@responses.delete("/<string(minlength=20):id>")
def delete(id: str) -> Response:
    """Stop the response and erase it."""
    services().streams.delete(_meta(id, starts=True))
    return doors.document({"id": id, "object": "response", "deleted": True})


@responses.get("/<string(minlength=20):id>/input_items")
def input_items(id: str) -> Response:
    """Return a page of the question's items, the last one first. Works only if the client had the question stored."""
    meta = _meta(id, starts=False)
    if meta.kept is None:
        raise RequestError("not_found", f"The input of {id!r} is not stored; send `store: true` with the question.")
    found = [{"id": f"in_{meta.id}_{number}", **item} for number, item in enumerate(meta.kept)]
    if request.args.get("order", "desc") != "asc":
        found.reverse()
    ids = [item["id"] for item in found]
    after = request.args.get("after")
    begin = ids.index(after) + 1 if after in ids else 0
    page = found[begin : begin + (intake.whole_number("limit", request.args.get("limit", str(PAGE)), 100) or PAGE)]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    more = begin + len(page) < len(found)
    return doors.document({"object": "list", "data": page, **ends, "has_more": more})


@responses.post("/input_tokens")
def input_tokens() -> Response:
    """Estimate the question's tokens."""
    caller = intake.caller(starts=True)
    body = decode(intake.body(services().settings.max_body_v1))
    question = RESPONSES.read(RESPONSES.expand(body, doors.recall(caller)))
    return doors.document({"object": "response.input_tokens", "input_tokens": prompt_tokens(question)})


def _meta(id: str, *, starts: bool) -> Meta:
    """Return the response's Meta. Raises RequestError (not_found), also for streams of other APIs."""
    caller = intake.caller(starts=starts)
    found = doors.recall(caller)(stream_id(id))
    door = NAMED.get(found.meta.api) if found else None
    if found is None or door is None or door.known_as(found.meta) != id:
        raise RequestError("not_found", f"Response with id {id[:60]!r} not found.")
    return found.meta


def _check(meta: Meta, position: int) -> None:
    """Raise RequestError (bad_position) if the answer ended before the client's position."""
    written = Writer(meta)
    written.opening()
    for event in services().streams.former.events(meta.id):
        if event.type not in TERMINAL:
            written.encode([event])
        elif written.closing(event) and position >= written.count:
            says = f"This response has {written.count} events; there is nothing after number {position}."
            raise RequestError("bad_position", says, "starting_after")


def _object(meta: Meta) -> Object:
    found = doors.recalled(meta)
    if found.event is not None:
        return whole(meta, found.blocks, found.event)
    status = services().streams.state(meta, None)
    return response(meta, "in_progress" if found.blocks.blocks or status == "running" else "queued", [])
