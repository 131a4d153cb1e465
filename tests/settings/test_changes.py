"""What a running server takes up from the settings file, and when."""

from __future__ import annotations

import logging
import os

import pytest

from millstream.settings import SettingError, load
from millstream.settings.changes import Changes

KEY = f"[keys.a]\nsha256 = '{'a' * 64}'\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "millstream.toml"


@pytest.fixture
def changes(path):
    path.write_text("ttl = 5\n")
    environ = {"MILLSTREAM_CONFIG": str(path)}
    return Changes(load(environ), environ)


def test_a_change_is_taken_once_and_only_when_the_file_stands_still(path, changes):
    assert changes.look() is None
    path.write_text("")  # an editor that writes in pieces
    assert changes.look() is None
    path.write_text(f"ttl = 5\n{KEY}")
    assert changes.look() is None
    assert [key.name for key in changes.look().keys] == ["a"]
    assert changes.look() is None


def test_what_changed_while_a_worker_was_starting_is_taken(path):
    path.write_text("streams = 1\n")
    environ = {"MILLSTREAM_CONFIG": str(path)}
    read = load(environ)
    path.write_text("streams = 2\n")
    assert Changes(read, environ).look().streams == 2


def test_a_fault_while_a_change_is_taken_up_is_logged_and_it_is_tried_again(path, changes, caplog):
    taken = []
    path.write_text("streams = 3\n")
    for change in (taken.append, lambda _: 1 // 0, taken.append, taken.append):
        changes.take_up(change, logging.log)
    assert [settings.streams for settings in taken] == [3]
    assert caplog.text.count("ZeroDivisionError: ") == 1


def test_the_same_content_in_a_new_file_is_no_change(path, changes):
    draft = path.with_name("draft")
    draft.write_text("ttl = 5\n")
    draft.replace(path)
    assert [changes.look() for _ in range(3)] == [None] * 3


def test_what_only_a_new_start_can_set_stays_and_is_told(path, changes):
    path.write_text(f"ttl = 6\ngrace = 1\nstreams = 2\n{KEY}")
    changes.look()
    found = changes.look()
    assert (found.ttl, found.streams, changes.fixed) == (5, 2, ("ttl", "grace"))


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("streams = -1\n"), os.unlink])
def test_a_wrong_change_is_told_once_and_the_next_right_one_is_taken(path, changes, spoil):
    spoil(path)
    assert changes.look() is None
    with pytest.raises(SettingError):
        changes.look()
    assert changes.look() is None
    path.write_text("streams = 1\n")
    changes.look()
    assert changes.look().streams == 1
