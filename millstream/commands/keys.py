"""`flask keys`: makes access keys, lists them, takes them back."""

from __future__ import annotations

import os
from typing import Any

import click

from millstream.access.keyring import digest, new_key
from millstream.settings import SettingError, config_path
from millstream.settings.edit import add_key, list_keys, remove_key
from millstream.settings.keys import NUMBERS

TAKES_EFFECT = "It counts from the server's next start on, or from a SIGHUP to its master process."


@click.group()
def keys() -> None:
    """Makes, lists and revokes access keys."""


@keys.command()
@click.argument("name")
@click.option("--operator", is_flag=True, help="It may see /metrics and /doctor.")
@click.option("--model", "models", multiple=True, help="A model it may ask; repeat it for more. All by default.")
@click.option("--requests-per-minute", type=int)
@click.option("--streams", type=int, help="Answers at the same time.")
@click.option("--tokens-per-day", type=int)
@click.option("--max-prompt", type=int, help="Characters of a question with its conversation.")
@click.option("--max-tokens", type=int, help="Of an answer.")
def add(name: str, operator: bool, models: tuple[str, ...], **limits: int | None) -> None:
    """Makes a key for NAME and prints it, once: the settings file gets its SHA-256."""
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
    click.echo(f"That is the key, and nothing keeps it. {path} has its SHA-256.\n{TAKES_EFFECT}", err=True)


@keys.command("list")
def show() -> None:
    """Lists the keys: their names, and what they may."""
    for key in _try(list_keys, config_path(os.environ)):
        limits = [f"{name}={value}" for name in NUMBERS if (value := getattr(key, name)) is not None]
        words = ["operator"] * key.operator + ([f"models={','.join(key.models)}"] if key.models else []) + limits
        click.echo("\t".join([key.name, " ".join(words)]).rstrip())


@keys.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Takes NAME's key out of the settings file. Its log-ins end with it."""
    _try(remove_key, config_path(os.environ), name)
    click.echo(f"Revoked. {TAKES_EFFECT}", err=True)


def _try(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except SettingError as error:
        raise click.ClickException(str(error)) from error
