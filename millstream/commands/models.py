"""`millstream models`: what can be asked for by name."""

from __future__ import annotations

import click

from millstream.errors import MillstreamError
from millstream.settings import SettingError, load
from millstream.upstreams.router import Router


@click.command()
def models() -> None:
    """List the models that clients can ask for. The default one is marked."""
    try:
        router = Router(load())
    except SettingError as error:
        raise click.ClickException(str(error)) from None
    try:
        default = router.default
    except MillstreamError as error:
        raise click.ClickException(error.message) from None
    for name in dict.fromkeys((default, *router.models())):
        click.echo(f"{name}\tdefault" if name == default else name)
