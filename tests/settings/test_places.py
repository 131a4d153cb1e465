"""Where the server writes, and where it looks for its settings."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from millstream.settings import SettingError, Settings, load, make_state, places

HOME = Path.home()


@pytest.mark.parametrize(
    ("installed", "environ", "state", "config"),
    [
        (False, {}, places.ROOT / "instance", places.ROOT / "millstream.toml"),
        (True, {}, HOME / ".local/state/millstream", HOME / ".config/millstream/millstream.toml"),
        (True, {"XDG_STATE_HOME": "/s", "XDG_CONFIG_HOME": "/c"}, "/s/millstream", "/c/millstream/millstream.toml"),
        (False, {"STATE_DIRECTORY": "/v/a:/v/b", "CONFIGURATION_DIRECTORY": "/e"}, "/v/a", "/e/millstream.toml"),
        (True, {"CONFIGURATION_DIRECTORY": "/e", "MILLSTREAM_CONFIG": "/m", "STATE_DIRECTORY": "/v"}, "/v", "/m"),
    ],
)  # fmt: skip
def test_each_way_to_run_has_its_folders(installed, environ, state, config, monkeypatch):
    monkeypatch.setattr(places, "INSTALLED", installed)
    assert places.state_folder(environ) == Path(state)
    assert places.config_path(environ) == Path(config)


def test_everything_that_is_written_is_in_the_state_folder(tmp_path):
    settings = load({"MILLSTREAM_STATE": str(tmp_path / "a/state"), "MILLSTREAM_STREAMS": "1"}, Path("/dev/null"))
    places_written = (settings.store, settings.limits_store, settings.database, settings.session_secret.reveal())
    assert all(f":{tmp_path}/a/state/" in place.replace("sqlite:///", ":") for place in places_written)
    make_state(settings)
    assert stat.S_IMODE(Path(settings.state).stat().st_mode) == 0o700


def test_a_state_folder_that_cannot_be_written_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=r"state folder .*/file/state can't be written: .*exists. Set MILL"):
        make_state(Settings(state=f"{tmp_path}/file/state"))
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(SettingError, match="Permission denied"):
        make_state(Settings(state=str(tmp_path)))


def test_a_state_folder_that_holds_nothing_is_not_made(tmp_path):
    make_state(Settings(state=f"{tmp_path}/state", store="memory:", database="postgresql://me@db/x"))
    assert not (tmp_path / "state").exists()
