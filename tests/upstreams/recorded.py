"""Recorded answers as data: each `tests/wire/KIND/NAME.sse` or `.ndjson` means what `NAME.json` beside it says."""

import json
from functools import cache
from pathlib import Path

import msgspec

from millstream.errors import UpstreamError
from millstream.upstreams import answers
from millstream.upstreams.ollama import Objects
from tests.calling import calling

WIRE = Path(__file__).parent.parent / "wire"
SOURCES = {".sse": answers.Sniffed, ".ndjson": Objects}
CALL = calling("asked", [{"role": "user", "content": "12345678"}])


class Recorded:
    """A body that comes in these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def read(self, seconds=None) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def close(self) -> None: ...

    release = close


def cases(kind):
    return sorted(case for case in (WIRE / kind).glob("*.*") if case.suffix in SOURCES)


def decode(pieces, decoder, source=answers.Sniffed):
    """Every batch, and the error if it ended with one."""
    batches = []
    try:
        for batch in answers.Answer(Recorded(*pieces), source(), decoder, "test"):
            batches.append(batch)
    except UpstreamError as error:
        return batches, error
    return batches, None


def seen(pieces, decoder, source=answers.Sniffed):
    """What came, in the words of the JSON files, and the error's message."""
    batches, error = decode(pieces, decoder, source)
    events = [event for batch in batches for event in batch]
    if error is not None:
        return {"events": list(map(shown, events)), "error": error.code}, error.message
    *events, done = events
    assert (done.type, done.end.upstream) == ("done", "test")
    usage = done.end.usage
    return {
        "events": list(map(shown, events)),
        "finish_reason": done.end.finish_reason,
        "usage": [usage.input, usage.output, usage.source],
        "model": done.end.model,
    }, ""


def shown(event):
    """Type and text, and what else there is."""
    said = msgspec.to_builtins(event)
    more = {name: said[name] for name in ("call", "signature", "redacted", "origin", "refusal") if name in said}
    return [event.type, event.text, *([more] if more else [])]


@cache  # asked for each of thousands of cuts
def wanted(case):
    """What is to come, words of the error's message, and what the decoder is made with."""
    want = json.loads(case.with_suffix(".json").read_text("utf-8"))
    return want, want.pop("says", ""), want.pop("decoder", {})
