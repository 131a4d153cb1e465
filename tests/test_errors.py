"""The table of codes is complete, and every error has the one shape."""

from __future__ import annotations

import ast
import re
from functools import cache
from http import HTTPStatus
from pathlib import Path

import pytest

from millstream.errors import CODES, MillstreamError, NotFound, RequestError, Unavailable, UpstreamError, body
from millstream.events import Failure
from millstream.upstreams.demo import FAULTS

ROOT = Path(__file__).resolve().parents[1]
TREES = {
    path.relative_to(ROOT): ast.parse(path.read_text("utf-8"))
    for path in [ROOT / "app.py", *(ROOT / "millstream").rglob("*.py")]
}
ERRORS = {"MillstreamError", "RequestError", "UpstreamError", "Unavailable"}
TYPES = {
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "rate_limit_error",
    "server_error",
    "upstream_error",
}


def raised():
    """Each error that is made with its code written out: (where, code)."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ERRORS
                and node.args
            ):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    yield f"{path}:{node.lineno}", first.value


def words_in(name):
    """The texts in the tables called `name` of any file: a code that is chosen by a table."""
    for tree in TREES.values():
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                yield from (item.value for item in ast.walk(node) if isinstance(item, ast.Constant))


def test_every_code_that_is_raised_is_in_the_table():
    found = list(raised())
    assert len(found) > 40
    assert [(where, code) for where, code in found if code not in CODES] == []


def test_codes_chosen_by_a_table_are_in_the_table():
    by_status = [word for word in words_in("BY_STATUS") if isinstance(word, str)]
    assert by_status and set(by_status) <= set(CODES)
    assert {code for code, _ in FAULTS.values()} <= set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_codes_status_and_type_belong_together(code):
    status, type = CODES[code]
    assert 400 <= HTTPStatus(status) < 600
    assert type in TYPES
    assert (status < 500) == (type not in ("server_error", "upstream_error"))
    assert (status == 429) == (type == "rate_limit_error")
    assert (status == 401) == (type == "authentication_error")


@pytest.mark.parametrize("code", CODES)
def test_a_code_that_is_never_raised_is_one_that_is_planned(code):
    planned = {"missing_key", "invalid_key", "model_not_allowed", "preset_locked", "content_withdrawn"}
    planned |= {"requests", "tokens", "streams", "login", "content_filter"}
    assert code in written() | planned


@cache
def written():
    found = {
        node.value
        for path, tree in TREES.items()
        if path.name != "errors.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
    }
    return found | {NotFound().code, *re.findall(r"[0-9]{3} (\w+);", (ROOT / "nginx.conf").read_text("utf-8"))}


def test_the_one_shape_has_four_fields():
    error = RequestError("bad_field", "No.", param="prompt")
    assert body(error.failure()) == {
        "error": {"message": "No.", "type": "invalid_request_error", "code": "bad_field", "param": "prompt"}
    }


@pytest.mark.parametrize("code", CODES)
def test_an_error_comes_back_from_the_log_as_it_was(code):
    error = MillstreamError(code, "It failed.", "x")
    again = MillstreamError.of(error.failure())
    assert (again.code, again.status, again.type, again.message, again.param) == (
        code,
        error.status,
        error.type,
        "It failed.",
        "x",
    )


def test_a_newer_workers_code_counts_as_internal():
    error = MillstreamError.of(Failure("It failed.", "new_error", "new_code"))
    assert (error.status, error.code, error.message) == (500, "internal", "It failed.")


def test_a_code_that_is_not_in_the_table_can_not_be_raised():
    with pytest.raises(KeyError):
        RequestError("no_such_code", "x")


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (NotFound(), 404, {}),
        (Unavailable("full", "Full."), 503, {"Retry-After": "5"}),
        (Unavailable("draining", "Leaving.", retry_after=1), 503, {"Retry-After": "1"}),
        (UpstreamError("upstream_broke", "Broke."), 502, {}),
    ],
)
def test_an_error_carries_its_status_and_headers(error, status, headers):
    assert (error.status, error.headers) == (status, headers)
    assert str(error) == error.message


def test_only_what_surely_was_not_paid_says_so():
    assert UpstreamError("upstream_broke", "x").paid
    assert not UpstreamError("connect_timeout", "x", paid=False).paid
