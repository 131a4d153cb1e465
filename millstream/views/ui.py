"""What useChat asks beside the question itself: to resume a chat's answer, and to stop it."""

from __future__ import annotations

from flask import Blueprint, Response, request

from millstream.access import Caller
from millstream.dialects import Recalled
from millstream.dialects.ui.answer import Writer
from millstream.dialects.ui.door import UI
from millstream.sockets.client import Client
from millstream.views import doors, intake, streams
from millstream.views.services import services

ui = Blueprint("ui_beside", __name__)


@ui.get("/ui/chat/<path:id>/stream")
def resume(id: str) -> Response:
    """The chat's running answer from its start; 204 where none runs."""
    caller = intake.caller(starts=False)
    found = _running(caller, id)
    if found is None:
        return Response(status=204)
    client = Client(request.environ, direct=True)
    follower = services().streams.follow(found.meta, peer=client)
    with streams.watched(client, follower):
        return doors.follow(Writer(found.meta), follower, client)


@ui.post("/ui/chat/<path:id>/stop")
def stop(id: str) -> Response:
    """Ends the chat's running answer; what came stays. useChat's own stop() only leaves it."""
    found = _running(intake.caller(starts=True), id)
    if found is not None:
        services().streams.stop(found.meta)
    return Response(status=204)


def _running(caller: Caller, chat: str) -> Recalled | None:
    id = services().streams.former.named(doors.chat_name(caller, UI, chat))
    found = doors.recall(caller)(id) if id else None
    return None if found is None or found.event else found
