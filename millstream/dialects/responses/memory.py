"""References of a request to a former response, or to one item of it, as long as these are kept."""

from __future__ import annotations

from collections.abc import Iterator

from millstream.dialects import Recall
from millstream.dialects.foreign import Object
from millstream.dialects.responses.ids import stream_id
from millstream.dialects.responses.question import items, keeps
from millstream.dialects.responses.response import output
from millstream.errors import RequestError
from millstream.question import Question

REFERENCE = "item_reference"


def expand(body: Object, recall: Recall) -> Object:
    """The body with the former conversation before its input, and items in the places of references. Raises
    RequestError (previous_response_not_found, bad_field)."""
    before = body.get("previous_response_id")
    given = body.get("input")
    if before is None and not (isinstance(given, list) and any(map(_refers, given))):
        return body
    found = [] if before is None else _former(before, recall)
    now = items(body) if given is not None else []
    return {**body, "input": [*found, *(one for item_ in now for one in _resolved(item_, recall))]}


def kept(question: Question) -> list[Object] | None:
    return items(question.body) if keeps(question) else None


def _former(id: object, recall: Recall) -> list[Object]:
    former = recall(stream_id(id)) if isinstance(id, str) else None
    if former is None or former.meta.kept is None or former.event is None:
        kept = former is None or former.meta.kept is not None
        says = (
            "has not ended, or is not here any more"
            if kept
            else "was asked without store: true, so its input is not stored"
        )
        raise RequestError(
            "previous_response_not_found",
            f"Previous response with id {str(id)[:60]!r} not found: it {says}.",
            "previous_response_id",
        )
    return [*former.meta.kept, *output(former.meta, former.blocks)]


def _refers(item_: object) -> bool:
    return isinstance(item_, dict) and item_.get("type") == REFERENCE


def _resolved(item_: Object, recall: Recall) -> Iterator[Object]:
    id = item_.get("id")
    if not _refers(item_) or not isinstance(id, str):
        yield item_
        return
    kind = id.partition("_")[0]
    former = recall(stream_id(id, kind))
    found = [one for one in output(former.meta, former.blocks) if one.get("id") == id] if former else []
    if not found and kind != "rs":  # a thought may be missing, anything else would be a hole
        raise RequestError("bad_field", f"Item with id {id[:60]!r} not found.", "input")
    yield from found
