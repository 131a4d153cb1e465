"""The application for gunicorn and `flask run`. gevent patches first: waiting streams must not block each other."""

import logging
import sys
from threading import Thread

try:
    from millstream.patching import patch
except ImportError:
    sys.exit("Millstream needs gevent: run scripts/serve, or pip install millstream")

patch()

import click  # noqa: E402
from flask import Flask  # noqa: E402
from flask.cli import AppGroup  # noqa: E402

from millstream.commands import command  # noqa: E402
from millstream.settings import SettingError, load  # noqa: E402
from millstream.settings.changes import Changes  # noqa: E402

# Show `info` lines, since no other handler does: one for each request, and the server's own.
log = logging.getLogger("millstream")
log.propagate = False
if not log.handlers:
    log.addHandler(logging.StreamHandler())


class Commands(AppGroup):
    """`flask keys`, as it was before there was `millstream keys`. Each is imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["keys", "usage", "doctor"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return command(cmd_name) if cmd_name in self.list_commands(ctx) else None


def serving() -> Flask:
    # Not at the top: the commands do without them.
    from millstream.application import create_app
    from millstream.stores.table import try_store
    from millstream.upstreams.router import prepare

    try:
        settings = load()
        if context is not None:  # `flask run`; under gunicorn the master has patched already
            try_store(settings.store, ttl=settings.ttl, workers=1)
        prepare(settings)  # the master has done this, too
        log.setLevel(settings.log_level.upper())
        app = create_app(settings)
        if context is not None:  # gunicorn's workers watch the file themselves
            follow(app)
        return app
    except SettingError as error:
        print(f"Millstream can't start: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(3)  # gunicorn's exit code for "don't try again"; with any other it starts new workers for ever


def follow(app: Flask) -> None:
    """Apply changes to the settings file while the server runs."""
    use = app.extensions["millstream"]
    Thread(target=Changes(use.settings).follow, args=(use.change,), daemon=True).start()


context = click.get_current_context(silent=True)
app = serving() if context is None or context.info_name == "run" else Flask("millstream")
app.cli = Commands()
