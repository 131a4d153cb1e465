"""GET /usage: sums for the caller alone, in three forms."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from decimal import Decimal

import gevent
import pytest

from millstream.access import ANYONE
from millstream.settings import Price
from millstream.usage import Unwritable
from millstream.views.chart import HEIGHT, WIDTH, bars
from tests.usage.samples import DAY, row

WAIT = 20  # s


@pytest.fixture
def write(app):
    """Puts rows into the ledger of the application."""
    return app.extensions["millstream"].ledger.write


def days_ago(days: float) -> float:
    return time.time() - days * DAY


def test_sums_by_day_and_by_model_of_the_caller_alone(client, write):
    write(
        [
            row(1, caller=ANYONE, created=days_ago(0)),
            row(2, caller=ANYONE, created=days_ago(0), model="n", cost=None, currency=None),
            row(3, caller=ANYONE, created=days_ago(3)),
            row(4, caller="somebody else", created=days_ago(0)),
            row(5, caller=ANYONE, created=days_ago(29)),
            row(6, caller=ANYONE, created=days_ago(30)),
        ]
    )
    said = client.get("/usage", headers={"Accept": "application/json"}).json
    today = datetime.now(UTC).date().isoformat()
    assert (said["key"], said["until"]) == (ANYONE, today)
    assert said["total"] == {
        "answers": 4,
        "input": 40,
        "output": 80,
        "estimated": 0,
        "unpriced": 1,
        "cost": {"USD": "0.0003"},
    }
    assert [day["answers"] for day in said["days"]] == [1, 1, 2]
    assert [(model["model"], model["answers"]) for model in said["models"]] == [("m", 3), ("n", 1)]
    assert said["days"][-1]["day"] == today
    assert client.get("/usage?days=1&format=json").json["total"]["answers"] == 2


def test_a_budget_is_spent_at_every_door_and_shown(make_app):
    client = make_app(
        budget="0.03/day", budget_total="5/month", prices=(Price("demo", Decimal(0), Decimal(1000)),)
    ).test_client()
    for spent in ("0.02", "0.04"):  # 20 tokens at 1000 a million
        assert client.post("/chat", json={"prompt": "Hi"}).status_code == 200
        with gevent.Timeout(WAIT):
            while (said := client.get("/usage?format=json").json["budgets"])[0]["spent"] != spent:
                gevent.sleep(0.02)
    assert [(one["of"], one["limit"], one["period"], one["remaining"]) for one in said] == [
        ("key", "0.03", "day", "0"),
        ("all", "5", "month", "4.96"),
    ]
    assert "budget for this day: 0.04 of 0.03 spent" in client.get("/usage?format=text").text
    assert "Budget for today: 0.04 / 0.03 USD" in client.get("/usage?format=html").text
    for path in ("/chat", "/streams", "/v1/completions"):
        refused = client.post(path, json={"prompt": "Hi"})
        assert (refused.status_code, refused.json["error"]["code"]) == (429, "budget")
        assert refused.headers["x-ratelimit-remaining-budget"] == "0"
    elsewhere = {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    client.application.extensions["millstream"].access._open = True
    assert [one["of"] for one in client.get("/usage?format=json", **elsewhere).json["budgets"]] == ["key"]


def test_what_has_just_been_answered_is_there(make_app):
    client = make_app().test_client()
    client.post("/chat", json={"prompt": "Hi"}, headers={"Accept": "text/plain"}).get_data()
    with gevent.Timeout(WAIT):
        while not (said := client.get("/usage?format=json").json)["total"]["answers"]:
            gevent.sleep(0.02)
    assert said["total"]["output"] == 20


@pytest.mark.parametrize(
    ("accept", "query", "content_type"),
    [
        ("*/*", "", "text/plain; charset=utf-8"),
        ("text/html,*/*;q=0.8", "", "text/html; charset=utf-8"),
        ("application/json", "", "application/json"),
        ("text/html", "?format=text", "text/plain; charset=utf-8"),
        ("", "?format=html", "text/html; charset=utf-8"),
    ],
)
def test_accept_decides_the_form(client, write, accept, query, content_type):
    write([row(1, caller=ANYONE, created=days_ago(0))])
    response = client.get(f"/usage{query}", headers={"Accept": accept} if accept else {})
    assert (response.status_code, response.headers["Content-Type"]) == (200, content_type)
    assert response.headers["Cache-Control"] == "no-store"
    assert "0.0001" in response.text


@pytest.mark.parametrize("query", ["days=0", "days=367", "days=x", "days=-1", "format=sse", "format=x"])
def test_what_can_not_be_asked_for_is_named(client, query):
    response = client.get(f"/usage?{query}", headers={"Accept": "application/json"})
    assert (response.status_code, response.json["error"]["param"]) == (400, query.partition("=")[0])


def test_the_page_has_no_inline_style_and_a_bar_for_each_day_with_answers(client, write):
    write([row(n, caller=ANYONE, created=days_ago(n % 3), model="<b>&") for n in range(9)])
    page = client.get("/usage?format=html").text
    assert page.count("<rect") == 6
    assert not re.search(r"\sstyle=|<style|<script|<b>&", page)
    assert "&lt;b&gt;&amp;" in page
    assert page.count("<tr>") == 3 + 5  # by model: head, one, total; by day: head, three, total


def test_a_page_with_nothing_says_so(client):
    page = client.get("/usage?format=html").text
    assert "No questions in this period." in page
    assert '<svg class="chart"' not in page


def test_a_ledger_that_can_not_be_read_is_a_503(client, app, monkeypatch):
    def away(*_):
        raise Unwritable("locked, by secret-word")

    monkeypatch.setattr(app.extensions["millstream"].ledger, "sums", away)
    # bound methods are looked up anew for each request
    response = client.get("/usage?format=json")
    assert (response.status_code, response.json["error"]["code"]) == (503, "store_unavailable")
    assert "secret-word" not in response.text


def test_the_highest_bar_fills_the_chart_and_none_leaves_it():
    chart = bars([("a", 0, 0), ("b", 1, 0), ("c", 30_000, 70_000)])
    assert chart.most == 100_000
    none, least, most = chart.bars
    assert (none.input_height, none.output_height) == ("0.00", "0.00")
    assert float(least.input_height) > 1
    assert (most.output_y, most.output_height, most.input_height) == (
        "0.00",
        f"{0.7 * HEIGHT:.2f}",
        f"{0.3 * HEIGHT:.2f}",
    )
    assert all(float(bar.x) + float(bar.width) <= WIDTH for bar in chart.bars)
    assert bars([]).bars == []


@pytest.mark.parametrize(
    ("accept", "says"),
    [
        ("text/event-stream", '"cost":"0.000050000001","currency":"EUR"'),
        ("application/x-ndjson", '"cost":"0.000050000001","currency":"EUR"'),
        ("application/json", '"cost":"0.000050000001","currency":"EUR"'),
        ("text/html", "20 tokens · 0.000050000001 EUR"),
    ],
)
def test_an_answer_says_what_it_has_cost_and_the_ledger_keeps_it(make_app, accept, says):
    price = Price("demo", Decimal("0.000001") / Decimal(5), Decimal("2.5"))
    client = make_app(prices=(price,), currency="EUR").test_client()
    prompt = {"prompt": "Hi", "model": "demo?tokens=20"}  # the name that the demo gives itself has the price
    assert says in client.post("/chat", json=prompt, headers={"Accept": accept}).text
    with gevent.Timeout(WAIT):
        while not (said := client.get("/usage?format=json").json)["total"]["answers"]:
            gevent.sleep(0.02)
    assert said["total"]["cost"] == {"EUR": "0.000050000001"}
