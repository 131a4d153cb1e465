"""/doctor, for operators: a stream of marks to test the path with, and the page that runs the test."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, g, make_response, render_template, request
from flask.typing import ResponseReturnValue

from millstream.access import Caller
from millstream.doctor.advice import advice
from millstream.doctor.examination import Report, examine
from millstream.doctor.marks import LONGEST, NAME, Marks, Plan
from millstream.doctor.probe import ECHO, Target, named
from millstream.errors import RequestError
from millstream.events import Call
from millstream.question import Question
from millstream.views import intake
from millstream.views.services import services

doctor = Blueprint("doctor", __name__)

SILENCE = 20  # s that the page keeps a connection idle by default: a heartbeat is due after 15
ECHOED = ("Last-Event-ID", "Idempotency-Key")


@doctor.post("/doctor/marks")
def marks() -> ResponseReturnValue:
    """Start a stream of marks; answer 201 with its id. Anybody who knows the id can follow it like any stream."""
    caller = _operator()
    try:
        plan = msgspec.convert(intake.fields(), Plan, strict=False)
        plan.check()
    except (msgspec.ValidationError, ValueError) as error:
        raise RequestError("bad_field", f"Invalid plan: {error}.") from None
    return {"id": _begin(caller, plan)}, 201


@doctor.get("/doctor")
def page() -> Response:
    intake.operator()
    return _page("", SILENCE)


@doctor.post("/doctor")
def examined() -> Response:
    """Test the path to an address, and report what is wrong with it."""
    caller = _operator()
    fields = intake.fields()
    url = str(fields.get("url", "")).strip().rstrip("/")
    try:
        target = Target(url, key=str(fields.get("key", "")).strip())
    except ValueError as error:
        raise RequestError("bad_field", f"This address or key is not valid: {error}.", "url") from None
    silence = intake.whole_number("idle", str(fields.get("idle", SILENCE)), int(LONGEST))
    return _page(url, silence, examine(target, lambda plan: _begin(caller, plan), silence))


def _operator() -> Caller:
    intake.caller(starts=True)  # pages of other sites may not send this
    return intake.operator()


def _begin(caller: Caller, plan: Plan) -> str:
    call = Call(Question(NAME, ()), caller=caller.name, via=("none", "doctor"))
    return services().streams.start(call, Marks(plan)).id


def _page(url: str, silence: int, report: Report | None = None) -> Response:
    found = [*report.findings, *report.notes] if report else []
    values = {"url": url, "report": report, "silence": silence, "token": g.caller.token}
    values["lines"] = [(finding, advice(finding.symptom, report.server)) for finding in found] if report else []
    values["ways"] = named(report.probes) if report else ""
    response = make_response(render_template("doctor.html", **values))
    response.headers["Cache-Control"] = "no-store"
    return response


@doctor.after_app_request
def _echo(response: Response) -> Response:
    """Tell the doctor which parts of its request arrived. The sender learns nothing new."""
    if ECHO in request.headers:
        names = [name.lower() for name in ECHOED if name in request.headers]
        if g.get("chosen") == request.headers[ECHO]:
            names.append("accept")
        response.headers[ECHO] = " ".join([request.environ.get("SERVER_PROTOCOL", ""), *names])
    return response
