"""`millstream serve`: gunicorn with our own settings, in place of this process."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from contextlib import suppress

import click

from millstream.settings import INSTALLED, LEVELS, ROOT, SITE, SettingError, load


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1, or HOST]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: 8000, or PORT]")
@click.option("--workers", type=click.IntRange(1), help="Worker processes.  [default: 2, or WEB_CONCURRENCY]")
@click.option("--log-level", type=click.Choice(LEVELS), help="Lowest level to log.  [default: info, or log_level]")
@click.option("--no-install", is_flag=True, help="Don't install the local model if no upstream is configured.")
@click.argument("gunicorn", nargs=-1, type=click.UNPROCESSED)
def serve(
    host: str | None,
    port: int | None,
    workers: int | None,
    log_level: str | None,
    no_install: bool,
    gunicorn: tuple[str, ...],
) -> None:
    """Start the server. Other options are passed on to gunicorn."""
    given = {"HOST": host, "PORT": port, "WEB_CONCURRENCY": workers, "MILLSTREAM_LOG_LEVEL": log_level}
    for variable, value in given.items():
        if value is not None:
            os.environ[variable] = str(value)
    if (count := os.environ.get("WEB_CONCURRENCY", "1")) and not (count.isdecimal() and int(count)):
        raise click.ClickException(f"WEB_CONCURRENCY is {count!r}; it has to be a number, 1 or more.")
    with suppress(SettingError):  # the server itself says what is wrong
        if not no_install:
            from millstream.commands.local_model import install  # not at the top: it is half of this command

            install(load())
    if not INSTALLED:  # gunicorn looks for our modules from the current folder on
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    if importlib.util.find_spec("fcntl") is None:  # Windows: no gunicorn
        sys.exit(subprocess.call([sys.executable, "-P", "-m", "millstream.alone"]))
    # -P: a file in the current folder must not replace a module of the same name.
    command = [sys.executable, "-P", "-m", "gunicorn", "-c", str(SITE / "gunicorn.conf.py"), *gunicorn]
    os.execv(sys.executable, [*command, "millstream.wsgi:app"])
