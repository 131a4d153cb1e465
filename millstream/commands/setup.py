"""`millstream setup`: find a model, write the settings file, try one short question."""

from __future__ import annotations

import os

import click

from millstream.commands.candidates import Candidate, look
from millstream.doctor.upstream import examine_upstream
from millstream.settings import SettingError, config_path, load
from millstream.settings.edit import add_upstream

SHOWN = 12  # models that are listed
NOTHING = """No model was found. Do one of these, then run `millstream setup` again:
  - install Ollama and get a model: ollama pull llama3.2
  - start LM Studio, llama.cpp or vLLM on its usual port
  - put a provider's key into the environment: export OPENAI_API_KEY=…
Or run `millstream` now: the small local model answers, with no key."""


@click.command()
@click.option("--yes", "-y", is_flag=True, help="Don't ask: use the first upstream found, and its first model.")
def setup(yes: bool) -> None:
    """Find models on this machine and keys in the environment; write the settings file."""
    path = config_path(os.environ)
    click.echo("Looking for models on this machine, and for keys in the environment …", err=True)
    found = look(os.environ)
    if not found:
        raise click.ClickException(NOTHING)
    chosen = _choose(found, yes)
    if not chosen.models and not chosen.key:
        raise click.ClickException(f"{chosen.says}. Get one first, with Ollama for example: ollama pull llama3.2")
    model = _model(chosen, yes)
    if not yes and not click.confirm(f"Write [upstreams.{chosen.name}] to {path}?", default=True):
        raise click.Abort
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        add_upstream(path, chosen.name, chosen.table, model)
        click.echo(f"Written: {path}. Asking {model or chosen.name} one short question …", err=True)
        verdicts = examine_upstream(chosen.name, load())
    except (SettingError, OSError) as error:
        raise click.ClickException(str(error)) from None
    for verdict in verdicts:
        click.echo(verdict)
    if not any(verdict.well for verdict in verdicts if verdict.of == "first token"):
        again = f"millstream doctor --upstream {chosen.name}"
        raise click.ClickException(f"No answer came. Correct {path}, then try again: {again}")
    if chosen.key:
        click.echo(f"The key is not stored: the server needs {chosen.key} in its environment, too.")
    click.echo("Next: run `millstream`, and open http://127.0.0.1:8000/. A running server applies this by itself.")


def _choose(found: list[Candidate], yes: bool) -> Candidate:
    for number, one in enumerate(found, 1):
        click.echo(f"  {number}. {one.says}")
    if yes or len(found) == 1:
        return next((one for one in found if one.models), found[0])
    number = click.prompt("Which one should answer?", type=click.IntRange(1, len(found)), default=1)
    return found[number - 1]


def _model(chosen: Candidate, yes: bool) -> str:
    """The model for requests that name none; "" where nobody says what there is."""
    if yes or len(chosen.models) < 2:
        return next(iter(chosen.models), "")
    more = f", and {len(chosen.models) - SHOWN} more" if len(chosen.models) > SHOWN else ""
    click.echo(f"Models: {', '.join(chosen.models[:SHOWN])}{more}")
    models = click.Choice(chosen.models)
    return str(click.prompt("Which one is the default?", default=chosen.models[0], type=models, show_choices=False))
