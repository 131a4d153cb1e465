"""The command `millstream`: what the operator types. Without a command's name it serves."""

from __future__ import annotations

from importlib import import_module

import click

NAMES = ("serve", "setup", "keys", "usage", "models", "doctor", "completion")  # each has its file here
WAIT = ("setup", "doctor", "models")  # for upstreams, on gevent's sockets
OWN = ("--help", "-h", "--version")


def command(name: str) -> click.Command:
    found: click.Command = getattr(import_module(f"millstream.commands.{name}"), name)
    return found


class Commands(click.Group):
    """Commands that are loaded when they are used: serving must patch before anything else is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return command(cmd_name) if cmd_name in NAMES else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in OWN):
            args = ["serve", *args]
        if args[0] in WAIT:  # before anything else is imported
            from millstream.patching import patch

            patch()
        return super().parse_args(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="millstream")
def millstream() -> None:
    """Stream a language model's answers to every client.

    `millstream` alone starts the server on http://127.0.0.1:8000/.
    """
