"""The paths of the package's files, the server's data and the settings file."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from millstream.settings.values import SettingError

_PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = (_PACKAGE / "served").is_dir()  # made by the build alone: see pyproject.toml
ROOT = _PACKAGE.parent
SITE = _PACKAGE / "served" if INSTALLED else ROOT  # templates/, static/ and gunicorn.conf.py
# The command as the operator types it. deploy/Dockerfile sets the variable, as systemd and podman do.
IN_CONTAINER = bool(os.environ.get("container"))  # noqa: SIM112
COMMAND = "docker exec CONTAINER python -m millstream" if IN_CONTAINER else "millstream"


def _user_folder(environ: Mapping[str, str], variable: str, usual: str) -> Path:
    """https://specifications.freedesktop.org/basedir-spec/latest/"""
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "millstream"
    return Path(environ.get(variable) or Path.home() / usual) / "millstream"


def state_folder(environ: Mapping[str, str]) -> Path:
    """The folder for everything that is written, unless `state` is set."""
    if given := environ.get("STATE_DIRECTORY"):  # systemd's; there may be several
        return Path(given.partition(":")[0])
    return _user_folder(environ, "XDG_STATE_HOME", ".local/state") if INSTALLED else ROOT / "instance"


def config_path(environ: Mapping[str, str]) -> Path:
    """The path of the settings file, which need not exist."""
    if given := environ.get("MILLSTREAM_CONFIG"):
        return Path(given)
    if given := environ.get("CONFIGURATION_DIRECTORY"):  # systemd's
        return Path(given.partition(":")[0]) / "millstream.toml"
    folder = _user_folder(environ, "XDG_CONFIG_HOME", ".config") if INSTALLED else ROOT
    return folder / "millstream.toml"


BASE = state_folder(os.environ) if INSTALLED else ROOT  # relative paths in the settings are meant from here


def make_folder(folder: str) -> None:
    """Make the state folder, for its owner's eyes only. Raises SettingError where it can't be written."""
    try:
        Path(folder).parent.mkdir(parents=True, exist_ok=True)
        Path(folder).mkdir(mode=0o700, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise SettingError(
            f"the state folder {folder} can't be written: {error.strerror}. Set MILLSTREAM_STATE to a folder that "
            "this user may write: streams, limits, the ledger and the session secret are kept there"
        ) from error
