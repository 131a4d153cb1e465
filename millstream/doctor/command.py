"""`flask doctor URL` and `flask doctor --upstream NAME`. Exit status: 0 all well, 1 not well, 2 could not look."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator

import click

from millstream.doctor.advice import advice
from millstream.doctor.examination import CantBegin, Report, begin_at, examine
from millstream.doctor.probe import Target
from millstream.doctor.upstream import examine_upstream
from millstream.settings import SettingError, load

SILENCE = 65.0  # s: over the 60 that many proxies have


def server_address() -> str:
    """Where the server on this machine listens, by the variables it was started with."""
    host = os.environ.get("HOST") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://{host}:{os.environ.get('PORT') or 8000}"


@click.command(
    "doctor", help="Tries the way to this server through its proxy, or an upstream, and says what is wrong."
)
@click.argument("url", required=False)
@click.option("--upstream", metavar="NAME", help="Ask this upstream of the settings one short question.")
@click.option("--server", metavar="URL", default=server_address, help="The server itself, past the proxy.")
@click.option("--key", envvar="DOCTOR_KEY", default="", help="An operator's access key, where there are keys.")
@click.option("--idle", metavar="S", default=SILENCE, help="How long a way is kept idle; 0: not at all.")
@click.option("--insecure", is_flag=True, help="Take any certificate.")
def doctor(url: str | None, upstream: str | None, server: str, key: str, idle: float, insecure: bool) -> None:
    if bool(url) == bool(upstream):
        raise click.UsageError("Give the address that browsers use, or --upstream NAME.")
    if upstream:
        _doctor_upstream(upstream)
    assert url
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"{url} is no address such as https://chat.example.org.")
    seconds = f"; it takes {idle + 5:.0f} s" if idle else ""
    click.echo(f"Streaming marks through {url}{seconds} …", err=True)
    try:
        report = examine(Target(url.rstrip("/"), key, insecure), begin_at(server.rstrip("/"), key), idle)
    except CantBegin as error:
        click.echo(error, err=True)
        raise SystemExit(2) from None
    click.echo("\n".join(lines(report)))
    raise SystemExit(0 if report.well else 1)


def lines(report: Report) -> Iterator[str]:
    """The report as text."""
    for finding in report.findings:
        yield f"✗ {finding.says}"
        yield from _advice(finding.symptom, report.server)
    for note in report.notes:
        yield f"! {note.says}"
        yield from _advice(note.symptom, report.server)
    if report.well:
        ways = ", ".join(dict.fromkeys(probe.name for probe in report.probes))
        yield f"All well: every mark came when it was written, by {ways}."


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
        click.echo(f"{'✓' if verdict.well else '✗'} {verdict.of}: {verdict.says}")
    raise SystemExit(0 if all(verdict.well for verdict in verdicts) else 1)
