"""Bounds of foreign JSON, found before Python makes objects of it."""

from __future__ import annotations

import contextlib
import time

import pytest

from millstream.wire.json import DEEPEST, MOST, check


@pytest.mark.parametrize(
    "document",
    [
        b"[" * DEEPEST + b"]" * DEEPEST,
        b'{"a":' * DEEPEST + b"1" + b"}" * DEEPEST,
        b"[" + b"1," * (MOST - 2) + b"1]",
        b'["' + b"[,{" * MOST + b'"]',
        b'["' + b'[\\"' * 1000 + b'\\\\"]',
        b"[[],{}]" * DEEPEST,
        b"",
    ],
)
def test_what_is_within_bounds_passes(document):
    check(document)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"[" * (DEEPEST + 1), "nested more than 100 levels"),
        (b'{"a":[' * (DEEPEST // 2) + b"{}" + b"]}" * (DEEPEST // 2), "nested more than 100 levels"),
        (b'["\\\\",' + b"[" * (DEEPEST + 1), "nested more than 100 levels"),
        (b"[" + b"[]," * (7 << 20) + b"1]", "more than 200000 values"),
        (b"[" + b'"a",' * MOST + b'"a"]', "more than 200000 values"),
        (b'"[' * (10 << 20), "more than 200000 values"),
    ],
)
def test_what_is_beyond_them_is_refused_in_no_time(document, says):
    start = time.process_time()
    with pytest.raises(ValueError, match=says):
        check(document)
    assert time.process_time() - start < 5  # it took 5.6 s to decode, and half a gigabyte


@pytest.mark.parametrize("piece", [b'\\"', b'"', b"\\", b'"\\"[', b'x"[,'])
def test_no_document_of_twenty_mebibytes_takes_long(piece):
    start = time.process_time()
    with contextlib.suppress(ValueError):
        check(b'"' + piece * ((20 << 20) // len(piece)))
    assert time.process_time() - start < 5
