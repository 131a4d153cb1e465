"""Every regular expression of the package over 64 KB of its worst case: foreign text must stop no worker."""

from __future__ import annotations

import ast
import importlib
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream.settings import Secret
from millstream.upstreams.quotation import quote

PACKAGE = Path(__file__).parent.parent / "millstream"
SIZE = 65536
EACH = 0.2  # s for one text; the quickest that is quadratic takes 1.8, the slowest that is linear 0.02
LIMIT = 10.0  # s for all, which ends one that is exponential
ANYWHERE = ("search", "sub", "split", "findall", "finditer")  # these begin at every character
BEHIND = "x y\0z w"  # what no pattern ends with


def expressions() -> Iterator[tuple[str, re.Pattern[Any], str]]:
    """Where it stands, itself, and how it is used."""
    for file in sorted(PACKAGE.rglob("*.py")):
        source = file.read_text("utf-8")
        if "import re\n" not in source:
            continue
        name = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        module = importlib.import_module(name)
        for node in ast.walk(ast.parse(source)):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re.") and node.args):
                continue
            use = ast.unparse(node.func).removeprefix("re.")
            if use not in (*ANYWHERE, "match", "fullmatch", "compile"):
                continue
            try:
                pattern = eval(ast.unparse(node.args[0]), dict(vars(module)))  # our own source
            except NameError:  # made of something that only its function knows
                continue
            if use == "compile":  # at the top of its module, which says further down what it is for
                line = source.splitlines()[node.lineno - 1]
                called = re.findall(rf"\b{re.escape(line.split()[0])}\.(\w+)\(", source)
                used = called + re.findall(r"\.(findall)$", line)
                use = next((way for way in used if way in ANYWHERE), "match")
            flags = re.IGNORECASE if "IGNORECASE" in ast.unparse(node) else 0
            yield f"{name}:{node.lineno}", re.compile(pattern, flags), use


def worst(pattern: re.Pattern[Any]) -> Iterator[str]:
    """Texts that begin with what it may begin with, go on with what it may go on with, and don't end."""
    said = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    words, marks = set(re.findall(r"[A-Za-z<>&;:=,-]{2,}", said)), {mark for mark in said if not mark.isalnum()}
    for begin in {"", *words, *marks}:
        for pump in {*words, *marks, " ", "a", "0", "\n", "a ", "*a"}:
            yield begin + pump * (SIZE // len(pump)) + BEHIND


EXPRESSIONS = list(expressions())


@pytest.fixture
def alarm() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"more than {LIMIT} s")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)  # of the processor's time: other processes don't count
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


def is_quick(way: Callable[[Any], object], text: str | bytes, tries: int = 3) -> bool:
    for _ in range(tries):  # a machine that is busy may have taken its time
        before = time.thread_time()
        way(text)
        if time.thread_time() - before < EACH:
            return True
    return False


def test_they_are_found() -> None:
    assert len(EXPRESSIONS) > 30


@pytest.mark.parametrize(("pattern", "use"), [one[1:] for one in EXPRESSIONS], ids=[one[0] for one in EXPRESSIONS])
def test_each_is_linear_over_its_worst_case(alarm: None, pattern: re.Pattern[Any], use: str) -> None:
    ways = [pattern.search] if use in ANYWHERE else [pattern.fullmatch, pattern.match]
    for text in worst(pattern):
        given = text if isinstance(pattern.pattern, str) else text.encode("latin-1", "replace")
        assert all(is_quick(way, given) for way in ways), text[:20]


def test_the_quickest_that_is_quadratic_is_noticed() -> None:
    assert not is_quick(re.compile(".*=").search, "a" * SIZE, tries=1)


@pytest.mark.parametrize("pump", ["a", "a*", "a-", "bearer ", 'bearer\t"', "sk-", "*", "\u2028", " ", "\x00a"])
def test_a_quotation_is_linear(alarm: None, pump: str) -> None:
    for _ in range(6):
        assert len(quote(pump * (SIZE // len(pump)) + '"', (Secret("key-0123456789"),))) <= 300
