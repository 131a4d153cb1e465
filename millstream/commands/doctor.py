"""`millstream doctor`, of a way or of an upstream. Exit status: 0 all well, 1 not well, 2 could not look."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from typing import TextIO

import click

from millstream.doctor.advice import advice
from millstream.doctor.examination import CantBegin, Report, begin_at, examine
from millstream.doctor.probe import Target, named
from millstream.doctor.upstream import examine_upstream
from millstream.settings import SettingError, load

SILENCE = 65.0  # s: over the 60 that many proxies have


def server_address() -> str:
    """Return the address of the server on this machine, from the variables that it was started with."""
    host = os.environ.get("HOST") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://{host}:{os.environ.get('PORT') or 8000}{os.environ.get('SCRIPT_NAME', '')}"


@click.command(
    "doctor", help="Check the path to this server through its proxy, or an upstream, and say what to change."
)
@click.argument("url", required=False)
@click.option("--upstream", metavar="NAME", help="Ask this upstream of the settings one short question.")
@click.option("--server", metavar="URL", default=server_address, help="The server's own address, without the proxy.")
@click.option(
    "--key-file",
    type=click.File(),
    help="File with an operator's access key. You can also set DOCTOR_KEY, or type the key when asked.",
)
@click.option("--idle", metavar="S", default=SILENCE, help="How long to keep a connection idle; 0 skips the test.")
@click.option("--insecure", is_flag=True, help="Accept any certificate.")
def doctor(
    url: str | None, upstream: str | None, server: str, key_file: TextIO | None, idle: float, insecure: bool
) -> None:
    # No option takes the key itself: every user of the machine can read command lines.
    if bool(url) == bool(upstream):
        raise click.UsageError("Give the address that browsers use, or --upstream NAME.")
    if upstream:
        _doctor_upstream(upstream)
    assert url
    seconds = f"; it takes {idle + 5:.0f} s" if idle else ""
    click.echo(f"Streaming marks through {url}{seconds} …", err=True)
    key = key_file.read() if key_file else os.environ.get("DOCTOR_KEY", "")
    report = _examine(_target(url, key, insecure), server.rstrip("/"), idle)
    click.echo("\n".join(lines(report)))
    raise SystemExit(0 if report.well else 1)


def _target(url: str, key: str, insecure: bool) -> Target:
    try:
        return Target(url.rstrip("/"), key.strip(), insecure)
    except ValueError as error:
        raise click.UsageError(f"This address or key is not valid: {error}.") from None


def _examine(target: Target, server: str, idle: float) -> Report:
    try:
        return examine(target, begin_at(server, target.key), idle)
    except CantBegin as error:
        if error.code == "missing_key" and sys.stdin.isatty():
            key = click.prompt("An operator's access key", hide_input=True, err=True)
            return _examine(_target(target.url, key, target.insecure), server, idle)
        click.echo(error, err=True)
        if error.code == "missing_key":
            click.echo("Give the doctor an operator's key with --key-file, or in DOCTOR_KEY.", err=True)
        raise SystemExit(2) from None


def lines(report: Report) -> Iterator[str]:
    """The report as text."""
    for finding in report.findings:
        yield f"✗ {finding.says}"
        yield from _advice(finding.symptom, report.server)
    for note in report.notes:
        yield f"! {note.says}"
        yield from _advice(note.symptom, report.server)
    if report.well:
        yield f"All well: every mark arrived when it was sent, by {named(report.probes)}."


def _advice(symptom: str, server: str) -> Iterator[str]:
    for proxy, text in advice(symptom, server).items():
        if proxy:
            yield f"  {proxy}:"
        yield textwrap.indent(text, "      ")


def _doctor_upstream(name: str) -> None:
    try:
        verdicts = examine_upstream(name, load())
    except SettingError as error:
        click.echo(error, err=True)
        raise SystemExit(2) from None
    for verdict in verdicts:
        click.echo(verdict)
    raise SystemExit(0 if all(verdict.well for verdict in verdicts) else 1)
