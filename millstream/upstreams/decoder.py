"""Decode one upstream's answer: the dialect's reader, and the parts that all upstreams share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil

from msgspec.structs import replace

from millstream.dialects.reading import Broken, Reader
from millstream.errors import UpstreamError
from millstream.events import Call, End, Event, Usage
from millstream.settings import Secret
from millstream.upstreams import estimate
from millstream.upstreams.quotation import quote
from millstream.upstreams.refusals import failure
from millstream.wire.json import check

MOST = 64 << 20  # bytes that may come without an event: what a reader or the frames hold has no other bound
LONG = 1 << 16  # bytes; a shorter payload can't have many values

Fail = Callable[[Broken, bool], UpstreamError]  # makes the error; the flag says whether events had arrived


class Decoder:
    """Turns payloads into events, `done` last. `passing` means that the client speaks the same dialect, so events
    carry the upstream's frames. A frame without an event travels with the next event, or with `done`."""

    def __init__(
        self,
        reader: Reader,
        call: Call,
        upstream: str,
        secrets: Iterable[Secret] = (),
        passing: bool = False,
        fail: Fail | None = None,
    ) -> None:
        self._reader = reader
        self._model = call.model
        # Don't keep the call: its question may be large, and is freed while the answer comes.
        self._prompt = call.prompt or estimate.prompt_tokens(call.question)
        self._upstream = upstream
        self._secrets = tuple(secrets)
        self._passing = passing
        self._frames: list[bytes] = []  # waiting for the next event
        self._fail = fail or self._failure
        self._weight = 0.0
        self._silent = 0  # bytes of payloads without an event

    @property
    def done(self) -> bool:
        return self._reader.done

    @property
    def finished(self) -> bool:
        return self._reader.finished

    def feed(self, payload: bytes | str, type: str = "message") -> list[Event]:
        """Return the events of one payload. Raises UpstreamError; then the payload's other events are lost."""
        reader = self._reader
        if reader.done:
            return []
        try:
            if len(payload) > LONG and isinstance(payload, bytes):
                check(payload)
            events = reader.feed(payload, type)  # type: ignore[arg-type]  # Spark's are texts
        except Broken as broken:
            raise self._fail(broken, self._weight > 0) from None
        except ValueError as error:
            raise self._gibberish(payload) from error
        if not events:
            self._silent += len(payload)
        if self._silent + reader.held > MOST:
            says = f'upstream "{self._upstream}" sent more than {MOST} bytes that are no part of its answer.'
            raise UpstreamError("answer_too_long", says)
        for event in events:
            self._weight += estimate.weight(event.text)
            if event.call is not None:
                self._weight += estimate.weight(event.call.name)
        if self._passing and reader.frame is not None:
            self._frames.append(reader.frame)
            if events:
                events[0] = replace(events[0], frames=tuple(self._frames))
                self._frames.clear()
        return events

    def texts(self, lines: bytes, count: int) -> list[Event] | None:
        """Return the events of `count` payloads, one a line, if all are pieces of text. Return None otherwise; then
        feed them one by one. Under load, or from a fast upstream, one read has many payloads."""
        texts = None if self._reader.done else self._reader.texts(lines, count)
        if texts is None:
            return None
        self._weight += estimate.weight("".join(texts))
        if not self._passing:
            return [Event("message", text) for text in texts]
        frames = lines.split(b"\n")
        events = [Event("message", text, frames=(frame,)) for text, frame in zip(texts, frames, strict=True)]
        if self._frames:
            events[0] = replace(events[0], frames=(*self._frames, frames[0]))
            self._frames.clear()
        return events

    def close(self) -> list[Event]:
        """Return the last events. Raises UpstreamError if the answer was cut."""
        reader = self._reader
        if not reader.whole():
            raise self.cut()
        reader.done = True
        end = End(
            model=reader.model or self._model,
            upstream=self._upstream,
            finish_reason=reader.finish_reason or "stop",
            usage=self._usage(reader.usage or Usage(0, 0)),
            stop_sequence=reader.stop_sequence,
        )
        return [*reader.rest(), Event("done", end=end, frames=tuple(self._frames))]

    def _usage(self, said: Usage) -> Usage:
        """Estimate the counts that the upstream did not give. Ollama counts no prompt that is in its cache."""
        asked, came = said.input or self._prompt, said.output or ceil(self._weight)
        if (asked, came) == (said.input, said.output) and asked:
            return said
        return replace(said, input=asked, output=came, source="estimated")

    def cut(self, when: str = "in the middle of its answer") -> UpstreamError:
        return UpstreamError("upstream_broke", f'upstream "{self._upstream}" broke off {when}. Ask again.')

    def unreadable(self, error: ValueError) -> UpstreamError:
        says = f'upstream "{self._upstream}" sent what can\'t be read: {error}. Ask again.'
        return UpstreamError("upstream_protocol", says)

    def _failure(self, broken: Broken, begun: bool) -> UpstreamError:
        return failure(self._upstream, broken.reason, self._secrets, broken.elsewhere)

    def _gibberish(self, payload: bytes | str) -> UpstreamError:
        text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
        said = quote(text, self._secrets)
        says = (
            f'upstream "{self._upstream}" sent something other than {self._reader.says}: {said}. Check its base_url.'
        )
        return UpstreamError("upstream_protocol", says)
