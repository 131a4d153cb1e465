"""Ask an upstream one short question. It tests the key and the clock, and measures how fast tokens arrive."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from queue import Empty, Queue
from threading import Thread

import requests

from millstream.dialects.chat import question as chat
from millstream.errors import MillstreamError, UpstreamError
from millstream.events import TERMINAL, Call, Event
from millstream.settings import SettingError, Settings, UpstreamSettings
from millstream.upstreams import Configured, Upstream, anthropic, spark
from millstream.upstreams.outbound import proxy_address
from millstream.upstreams.router import build, prepare, tables

QUESTION = "Count from one to twenty, in words."
TOKENS = 60
ADDRESSES = {"anthropic": anthropic.BASE_URL, "spark": spark.BASE_URL}  # where the settings name none
CLOCK = 60.0  # s that a clock may be off; Spark's signatures end at 300
BURST = 0.5  # share of events that came together with the one before
TIMEOUT = 10.0  # s


@dataclass(frozen=True)
class Verdict:
    of: str
    well: bool
    says: str

    def __str__(self) -> str:
        return f"{'✓' if self.well else '✗'} {self.of}: {self.says}"


def examine_upstream(name: str, settings: Settings) -> list[Verdict]:
    """Examine an upstream. This costs one short answer. Raises SettingError."""
    table = next((table for table in tables(settings) if table.name == name), None)
    if table is None:
        known = ", ".join(table.name for table in tables(settings))
        raise SettingError(f"there is no upstream {name!r}; there is {known}")
    if table.kind == "local":
        prepare(settings)
    upstream = build(table, settings)
    address = table.base_url or ADDRESSES.get(table.kind, "")
    verdicts = [_clock(table, address)] if address else []
    times: list[float] = []
    reads: list[list[Event]] = []
    try:
        model = _model(upstream, settings.model)
        asked = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": TOKENS}
        for at, batch in _asked(upstream, Call(chat.read(asked))):
            times.append(at)
            reads.append(batch)
    except MillstreamError as error:
        refused = error.code == "upstream_auth"
        return [*verdicts, Verdict("key" if refused else "answer", False, f"{error.message} ({error.code})")]
    key = Verdict("key", True, "taken" if table.api_key else "none given, and none asked for")
    return [*verdicts, key, *_answer(times, reads)]


def _model(upstream: Configured, default: str) -> str:
    """The first that the settings name for it; of its own list the default one, else the first that answers chats.
    Raises UpstreamError."""
    named = next((model for model in upstream.models if model != "*"), "")
    if named or not upstream.lists:
        return named or default
    try:
        listed = [one.id for one in upstream.listed() if one.chats]
    except UpstreamError:
        if not default:
            raise
        listed = []
    return default if default in listed or not listed else listed[0]


def _asked(upstream: Upstream, call: Call) -> Iterator[tuple[float, list[Event]]]:
    """Yield the upstream's events with their times. Raises MillstreamError, also if the upstream falls silent."""
    told: Queue[tuple[float, list[Event]] | MillstreamError | None] = Queue()

    def ask() -> None:
        begun = time.monotonic()
        try:
            for batch in upstream.stream(call):
                if batch:
                    told.put((time.monotonic() - begun, batch))
            told.put(None)
        except MillstreamError as error:
            told.put(error)
        except Exception as error:
            told.put(MillstreamError("internal", f"{type(error).__name__}: {error}"))

    Thread(target=ask, daemon=True).start()
    code, limit = "first_token_timeout", upstream.deadlines.first_token
    while True:
        try:
            found = told.get(timeout=limit)
        except Empty:
            raise UpstreamError(code, f"{upstream.name} said nothing for {limit:g} s.") from None
        if found is None:
            return
        if isinstance(found, MillstreamError):
            raise found
        yield found
        code, limit = "silence_timeout", upstream.deadlines.silence


def _answer(times: list[float], reads: list[list[Event]]) -> list[Verdict]:
    events = [event for batch in reads for event in batch if event.type not in TERMINAL]
    texts = sum(any(event.type not in TERMINAL for event in batch) for batch in reads)
    if not events:
        return [Verdict("first token", False, "none: the answer was empty")]
    end = reads[-1][-1].end
    usage = end.usage if end else None
    spent = times[-1] - times[0]
    tokens = usage.output if usage and usage.output else len(events)
    rate = f"{tokens / spent:.0f} tokens/s" if spent > 0 else f"{tokens} tokens at once"
    together = 1 - texts / len(events)
    even = together <= BURST
    told = usage is not None and usage.source == "upstream"
    return [
        Verdict("first token", True, f"after {times[0]:.2f} s"),
        Verdict("rate", even, rate if even else f"{rate}, but {together:.0%} of it in bursts: something buffers"),
        Verdict("usage", told, f"told: {usage.input} + {usage.output} tokens" if told and usage else
                "not reported: Millstream will count estimates"),
    ]  # fmt: skip


def _clock(table: UpstreamSettings, address: str) -> Verdict:
    """Compare the clock with the Date header of the upstream's host. Sends no key."""
    url = address.replace("ws://", "http://", 1).replace("wss://", "https://", 1)
    proxy = proxy_address(table)
    session = requests.Session()
    session.trust_env = False
    ca = table.extra.get("ca_file")
    try:
        sent = time.time()
        answer = session.head(
            url,
            timeout=TIMEOUT,
            allow_redirects=False,
            proxies={"http": proxy, "https": proxy} if proxy else None,
            verify=ca if isinstance(ca, str) else True,
        )
        theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (requests.RequestException, KeyError, ValueError) as error:
        return Verdict("clock", True, f"not compared: the host told no time ({type(error).__name__})")
    off = (sent + time.time()) / 2 - theirs
    says = f"{abs(off):.0f} s {'ahead' if off > 0 else 'behind'}"
    return Verdict("clock", abs(off) <= CLOCK, says if abs(off) > CLOCK else f"right ({says})")
