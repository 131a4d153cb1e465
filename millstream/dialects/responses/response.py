"""A response and its items as objects: https://platform.openai.com/docs/api-reference/responses/object"""

from __future__ import annotations

from collections.abc import Iterable

from millstream.dialects.blocks import Block, Blocks, loads
from millstream.dialects.foreign import Object
from millstream.dialects.responses.passing import Passed
from millstream.dialects.responses.question import NAME, OF_THE_QUESTION, REDACTED
from millstream.dialects.signatures import tagged
from millstream.errors import CODES
from millstream.events import End, Event, Failure, Meta, Usage
from millstream.formats.objects import failure_of
from millstream.question import FREE

PREFIXES = {"text": "msg", "refusal": "msg", "reasoning": "rs", "redacted": "rs", "call": "fc"}
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}

# Default values of response fields that the request left out.
UNSAID: Object = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "service_tier": "default",
    "top_logprobs": 0,
}


OURS = ("background", "previous_response_id", "store", *OF_THE_QUESTION)  # an upstream was asked otherwise
PARTS = {
    "text": lambda text: {"type": "output_text", "text": text, "annotations": [], "logprobs": []},
    "refusal": lambda text: {"type": "refusal", "refusal": text},
}


def response_id(meta: Meta) -> str:
    return f"resp_{meta.id}"


def item_id(meta: Meta, block: Block) -> str:
    prefix = "ctc" if is_custom(meta, block) else PREFIXES[block.kind]
    return f"{prefix}_{meta.id}_{block.index}"


def is_custom(meta: Meta, block: Block) -> bool:
    return bool(block.call and (block.call.custom or block.name in meta.echo.get("custom", ())))


def ended(blocks: Blocks, event: Event) -> tuple[str, str | None]:
    """The status of a response, and why it is incomplete."""
    if event.type == "failed":
        return "failed", None
    reason = blocks.reason(event.end or End("", ""))
    if reason == "cancelled":  # there is no event for it
        return "cancelled", None
    return ("incomplete", INCOMPLETE[reason]) if reason in INCOMPLETE else ("completed", None)


def passed(meta: Meta, frames: Iterable[bytes] = ()) -> Passed:
    """Collect the upstream's response. Its fields about the question describe our request, so ours replace them."""
    said = {name: meta.echo.get(name, UNSAID[name]) for name in OURS}
    return Passed(meta.id, {"id": response_id(meta), "created_at": int(meta.created), **said}, frames)


def whole(meta: Meta, blocks: Blocks, event: Event) -> Object:
    """The response at its end."""
    came = passed(meta, blocks.frames)
    return came.response or last(meta, blocks, event, came)


def output(meta: Meta, blocks: Blocks) -> list[Object]:
    """The items of an answer that is kept."""
    return _items(meta, blocks, "completed", passed(meta, blocks.frames))


def _items(meta: Meta, blocks: Blocks, cut: str, came: Passed) -> list[Object]:
    """The items, with `cut` as the status of the last one."""
    if came.response is not None:
        return list(came.response["output"])
    end = len(blocks.blocks) - 1
    ours = [item(meta, block, "completed" if block.index < end else cut) for block in blocks.blocks]
    if not came.items:
        return ours
    found = [one for place, one in sorted(came.items.items()) if place in came.over]
    place, begun = list(came.items.items())[-1]
    if place not in came.over and ours and ours[-1]["type"] == begun.get("type"):
        found.append({**ours[-1], "id": begun.get("id")})
    return found


def last(meta: Meta, blocks: Blocks, event: Event, came: Passed) -> Object:
    """The response where no upstream of the same dialect has said it."""
    status, why = ended(blocks, event)
    found = response(meta, status, _items(meta, blocks, "completed" if status == "completed" else "incomplete", came))
    end = event.end or End("", "")
    found["usage"] = _usage(end.usage)
    if why:
        found["incomplete_details"] = {"reason": why}
    if status == "failed":
        failure = failure_of(event)
        found["error"] = {"code": _code(failure), "message": failure.message}
    if status == "completed":
        found["completed_at"] = int(meta.created + (end.duration or 0))
    return found


def response(meta: Meta, status: str, output: list[Object]) -> Object:
    said: Object = {name: meta.echo.get(name, value) for name, value in UNSAID.items()}
    return {
        "id": response_id(meta),
        "object": "response",
        "created_at": int(meta.created),
        "completed_at": None,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": meta.model,
        "output": output,
        "usage": None,
        **said,
        "reasoning": {"effort": None, "summary": None, **said["reasoning"]},
        "text": {**UNSAID["text"], **said["text"]},
    }


def item(meta: Meta, block: Block, status: str) -> Object:
    """The item when it is added (`in_progress`), or when it is complete."""
    begun = status == "in_progress"
    found: Object = {"id": item_id(meta, block)}
    if block.kind in ("reasoning", "redacted"):
        summary = [] if begun or not block.text else [{"type": "summary_text", "text": block.text}]
        found |= {"type": "reasoning", "summary": summary}
        if block.signature and not begun:
            origin = block.origin + (REDACTED if block.kind == "redacted" else "")
            found["encrypted_content"] = tagged(block.signature, origin, NAME)
        return found
    found["status"] = status
    if block.kind == "call":
        called = {"call_id": block.id, "name": block.name}
        if is_custom(meta, block):
            return found | {"type": "custom_tool_call", **called, "input": "" if begun else _free(block)}
        return found | {"type": "function_call", **called, "arguments": "" if begun else block.text or "{}"}
    content = [] if begun else [PARTS[block.kind](block.text)]
    return found | {"type": "message", "role": "assistant", "content": content}


def _free(block: Block) -> str:
    """The free text of a custom tool's call; upstreams that know functions alone wrap it in JSON."""
    wrapped = None if block.call and block.call.custom else loads(block.text)
    return str(wrapped[FREE]) if isinstance(wrapped, dict) and FREE in wrapped else block.text


def _usage(usage: Usage | None) -> Object | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def _code(failure: Failure) -> str:
    """Map a code to one that the API has."""
    status = CODES.get(failure.code, (500, ""))[0]
    return "rate_limit_exceeded" if status == 429 else "server_error" if status >= 500 else "invalid_prompt"
