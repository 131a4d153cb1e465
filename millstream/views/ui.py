"""The other addresses of useChat: resume a chat's answer, or stop it."""

from __future__ import annotations

from flask import Blueprint, Response, g

from millstream.dialects.ui.answer import Writer
from millstream.dialects.ui.door import UI
from millstream.errors import NotFound
from millstream.events import Meta
from millstream.views import doors, intake, streams
from millstream.views.services import services

ui = Blueprint("ui_beside", __name__)


@ui.get("/ui/chat/<path:id>/stream")
def resume(id: str) -> Response:
    """Return the chat's answer from its start, if it is running or no client has seen its end; otherwise 204."""
    name = doors.chat_name(intake.caller(starts=False), UI, id)
    meta = _found(name)
    if meta is None:
        return Response(status=204)
    with streams.following(meta) as (follower, client):
        return doors.follow(Writer(meta), follower, client, chat=name)


@ui.post("/ui/chat/<path:id>/stop")
def stop(id: str) -> Response:
    """Stop the chat's running answer. Its text stays. useChat's own stop() only disconnects."""
    meta = _found(doors.chat_name(intake.caller(starts=True), UI, id))
    if meta is not None:
        services().streams.stop(meta)
    return Response(status=204)


def _found(name: str) -> Meta | None:
    id = services().streams.former.named(name)
    try:
        return streams.meta(id, g.caller) if id else None
    except NotFound:
        return None
