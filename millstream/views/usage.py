"""GET /usage: the tokens and costs of the caller's key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, render_template

from millstream.dialects.fields import wrong
from millstream.limits.purses import Spent
from millstream.settings.prices import plain
from millstream.usage import Sum
from millstream.usage.report import cost_of, to_object, to_text
from millstream.usage.sums import first_day, regroup, total
from millstream.views import intake
from millstream.views.chart import bars
from millstream.views.services import services

usage = Blueprint("usage", __name__)

OFFERED = {"text": "text/plain", "html": "text/html", "json": "application/json"}
DAYS, MOST = 30, 366


@usage.get("/usage")
def show() -> Response:
    """Return sums by day and by model over `?days=30`. Days are in UTC."""
    caller = intake.caller(starts=False)
    fields = intake.query()
    media_type = intake.choose_type(fields.get("format"), OFFERED)
    days = intake.whole_number("days", fields.get("days", str(DAYS)), MOST)
    if not days:
        raise wrong("days", f"has to be a whole number from 1 to {MOST}")
    today = datetime.now(UTC).date()
    since = first_day(days, today)
    parts = services().sums(("day", "model"), since, caller.name)
    # Only operators see the budget of all keys.
    budgets = [one for one in services().limits.spent(caller.name) if one.purse.owner or intake.by_operator()]
    used = regroup(parts, 0)
    by_day = [used.get(day, Sum((day,))) for day in (str(today - timedelta(days=n)) for n in reversed(range(days)))]
    by_model = sorted(regroup(parts, 1).values(), key=lambda part: (-part.input - part.output, part.by))
    if media_type == "application/json":
        response = jsonify(
            key=caller.name,
            since=since,
            until=str(today),
            total=to_object(total(parts)),
            days=[{"day": part.by[0], **to_object(part)} for part in used.values()],
            models=[{"model": part.by[0], **to_object(part)} for part in by_model],
            budgets=[_budget(one) for one in budgets],
        )
    elif media_type == "text/plain":
        text = f"{caller.name}, {since} to {today} (UTC)\n\n" + "\n".join(
            (to_text(list(used.values()), ["day"]), to_text(by_model, ["model"]), *map(_in_words, budgets))
        )
        response = Response(text, mimetype="text/plain")
    else:
        response = make_response(_page(caller.name, by_day, by_model, total(parts), budgets))
    response.headers.update({"Cache-Control": "no-store", "Vary": "Accept", "X-Content-Type-Options": "nosniff"})
    return response


def _budget(one: Spent) -> dict[str, Any]:
    budget = one.purse.budget
    return {
        "of": "key" if one.purse.owner else "all",
        "limit": plain(budget.amount),
        "period": budget.period,
        "spent": plain(one.amount),
        "remaining": plain(one.remaining),
        "resets_in": ceil(one.purse.left),
    }


def _in_words(one: Spent) -> str:
    said, whose = _budget(one), "" if one.purse.owner else " of all keys"
    return f"budget{whose} for this {said['period']}: {said['spent']} of {said['limit']} spent\n"


def _page(name: str, by_day: list[Sum], by_model: list[Sum], whole: Sum, budgets: list[Spent]) -> str:
    values: dict[str, Any] = {
        "name": name,
        "chart": bars([(part.by[0], part.input, part.output) for part in by_day]),
        "by_day": [part for part in reversed(by_day) if part.answers],
        "by_model": by_model,
        "whole": whole,
        "cost_of": cost_of,
        "choices": (7, DAYS, 90),
        "days": len(by_day),
        "budgets": [_budget(one) for one in budgets],
        "currency": services().settings.currency,
    }
    return render_template("usage.html", **values)
