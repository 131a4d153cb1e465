"""Connections cut at random places: a client that comes back misses nothing, gets nothing twice, and pays once.

A failing test shows its seed; its first word as CUTS_SEED repeats the places. CUTS=36 makes 10,000 cuts of it.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from html.parser import HTMLParser

import pytest

from tests.system import clients
from tests.system.clients import Client
from tests.system.cutter import Cutter
from tests.system.emulator import Emulator
from tests.system.redis_server import RedisServer
from tests.system.server import Server

pytestmark = pytest.mark.system

SEED = os.environ.get("CUTS_SEED") or secrets.token_hex(4)
AT_ONCE = 7  # clients
CUTS = int(os.environ.get("CUTS") or 7)  # of each client; × 7 clients × 8 formats × 5 servers = 1,960
STORES = ("file", "redis")
FORMATS = [
    clients.Sse,
    clients.EventSource,
    clients.Ndjson,
    clients.Polling,
    clients.Waiting,
    clients.Text,
    clients.Responses,
    clients.Chat,
]
# The halves of "🌊" come in two pieces, as they do from models that think in bytes.
PIECES = (
    "Die |Wel|len |schlagen |\ud83c|\udf0a |ans |Ufer.\n\n|波が|岸に|打ち|寄せる。\n|Волны |бьются |о бе|рег |🏖️|\r|"
    "\n|e\u0301|موج |بر ساحل |می‌کوبد|。|data: x\n\n|event: done\n|👩‍|👩‍👧 |\u2028|<b>&amp;</b>|"
    '{"n":1}| |파도|가 친다 |%s|…|\n|end 🏁' % ("x" * 700)
).split("|")


def joined(pieces: list[str]) -> str:
    return "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le")


TEXT = joined(PIECES)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Emulator]:
    with Emulator(PIECES, pace=0.004) as upstream:
        yield upstream


@pytest.fixture(
    scope="module", params=["memory, 1 worker", *(f"{store}, {n} workers" for store in STORES for n in (1, 2))]
)
def server(request: pytest.FixtureRequest, upstream: Emulator) -> Iterator[Server]:
    kind, workers = request.param.split(", ")
    with ExitStack() as stack:
        store = {"memory": "memory:"}.get(kind)
        if kind == "redis":
            store = stack.enter_context(RedisServer()).url
        made = Server({"emulated": upstream.table}, workers=int(workers[0]), **({"store": store} if store else {}))
        yield stack.enter_context(made)


def times_asked(upstream: Emulator, seed: str) -> set[int]:
    """How often each question of this test has reached the upstream."""
    questions = Counter(question["messages"][-1]["content"] for question in upstream.asked)
    return {count for question, count in questions.items() if question.startswith(seed)}


def ask_until_cut(port: int, format: type[Client], seed: str, cuts: int) -> list[Client]:
    """As many answers as it takes until this client's connections have been cut so often."""
    answers = []
    with Cutter(port, seed, cuts) as cutter:
        while cutter.done < cuts:
            answers.append(format(cutter.port, f"{seed} {len(answers)}").run())
    return answers


def ask_at_once(server: Server, format: type[Client], seed: str, cuts: int = CUTS) -> list[Client]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(ask_until_cut, server.port, format, f"{seed} {n}", cuts) for n in range(AT_ONCE)]
        return [answer for job in jobs for answer in job.result()]


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> str:
    seed = f"{SEED} {request.node.name}"
    print(seed)
    return seed


@pytest.mark.parametrize("format", FORMATS)
def test_an_answer_comes_whole_whatever_is_cut(
    server: Server, upstream: Emulator, seed: str, format: type[Client]
) -> None:
    answers = ask_at_once(server, format, seed)
    assert times_asked(upstream, seed) == {1}
    for client in answers:
        assert (client.text, client.failure) == (TEXT, "")
        if format.NUMBERED and format is not clients.Waiting:
            assert client.events == clients.log_of(server.port, client.id)
            assert [n for n, _, _ in client.events] == list(range(1, len(client.events) + 1))


BROKEN = joined(PIECES[:20])


@pytest.fixture
def breaking(upstream: Emulator) -> Iterator[None]:
    """The upstream breaks off after a few tokens."""
    upstream.cut_after = 20
    yield
    upstream.cut_after = None


@pytest.mark.usefixtures("breaking")
@pytest.mark.parametrize(
    ("format", "failure"),
    [(clients.Sse, "upstream_broke"), (clients.Polling, "upstream_broke"), (clients.Text, "502")],
)
def test_a_broken_answer_never_ends_cleanly_whatever_is_cut(
    server: Server, upstream: Emulator, seed: str, format: type[Client], failure: str
) -> None:
    answers = ask_at_once(server, format, seed, cuts=3)
    assert times_asked(upstream, seed) == {1}
    assert {(client.text, client.failure) for client in answers} == {(BROKEN, failure)}


class Words(HTMLParser):
    """All text of a page, without blanks."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.text = ""
        self.feed(page.decode())

    def handle_data(self, data: str) -> None:
        self.text += "".join(data.split())


def test_a_page_is_whole_when_it_is_loaded_again(server: Server, upstream: Emulator, seed: str) -> None:
    answers = ask_at_once(server, clients.Html, seed, cuts=3)
    assert times_asked(upstream, seed) == {1}
    for client in answers:
        assert "".join(TEXT.split()) in Words(client.body).text
        assert client.body.rstrip().endswith(b"</html>")
