"""`millstream keys`: make access keys, list them, revoke them."""

from __future__ import annotations

import os
from typing import Any

import click

from millstream.access.keyring import digest, new_key
from millstream.settings import SettingError, config_path
from millstream.settings.edit import add_key, list_keys, remove_key
from millstream.settings.keys import NUMBERS

TAKES_EFFECT = "A running server applies this within two seconds; no restart is needed."


@click.group()
def keys() -> None:
    """Make, list and revoke access keys."""


@keys.command()
@click.argument("name")
@click.option("--operator", is_flag=True, help="Allow /metrics and /doctor.")
@click.option(
    "--model", "models", multiple=True, help="A model that the key may use; repeat for more.  [default: all]"
)
@click.option("--requests-per-minute", type=int)
@click.option("--streams", type=int, help="Answers at the same time.")
@click.option("--tokens-per-day", type=int)
@click.option("--max-prompt", type=int, help="Characters of a question and its conversation.")
@click.option("--max-tokens", type=int, help="Tokens of an answer.")
def add(name: str, operator: bool, models: tuple[str, ...], **limits: int | None) -> None:
    """Make a key for NAME and print it, once. The settings file gets its SHA-256."""
    key = new_key()
    table: dict[str, Any] = {"sha256": digest(key)}
    if operator:
        table["operator"] = True
    if models:
        table["models"] = list(models)
    table |= {limit: limits[limit] for limit in NUMBERS if limits[limit] is not None}
    path = config_path(os.environ)
    _try(add_key, path, name, table)
    click.echo(key)
    click.echo(
        f"Copy this key now; it can't be shown again (only its SHA-256 is stored, in {path}).\n{TAKES_EFFECT}",
        err=True,
    )


@keys.command("list")
def show() -> None:
    """List the keys: their names, and what they may do."""
    for key in _try(list_keys, config_path(os.environ)):
        limits = [f"{name}={value}" for name in NUMBERS if (value := getattr(key, name)) is not None]
        words = ["operator"] * key.operator + ([f"models={','.join(key.models)}"] if key.models else []) + limits
        click.echo("\t".join([key.name, " ".join(words)]).rstrip())


@keys.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Remove NAME's key from the settings file. Its log-ins end with it."""
    _try(remove_key, config_path(os.environ), name)
    click.echo(f"Revoked. {TAKES_EFFECT}", err=True)


def _try(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except SettingError as error:
        raise click.ClickException(str(error)) from error
