"""Presets: what they add, what may change them, and that their prompt goes to the upstream alone."""

from __future__ import annotations

import re

import pytest

from millstream.settings import PresetSettings
from millstream.upstreams.demo import Demo

SECRET = "Canary-7391: answer as a pirate."
PIRATE = PresetSettings("pirate", "A pirate", SECRET, "demo?tokens=3", temperature=0.5, stop=("x",))
LOCKED = PresetSettings("locked", system=SECRET, max_tokens=9, locked=True)
PLAIN = PresetSettings("plain")
HI = {"role": "user", "content": "Hi"}
SYSTEM = {"role": "system", "content": SECRET}


@pytest.fixture
def calls(monkeypatch):
    """What the upstream is asked."""
    calls, asked = [], Demo.ask
    monkeypatch.setattr(Demo, "ask", lambda self, call: calls.append(call) or asked(self, call))
    return calls


@pytest.fixture
def client(make_app):
    return make_app(presets=(PIRATE, LOCKED, PLAIN)).test_client()


@pytest.fixture
def with_default(make_app):
    """A client of an application with a default preset, that is locked or not."""
    return lambda locked: make_app(presets=(PresetSettings("d", system=SECRET, locked=locked, default=True), PLAIN))


@pytest.mark.parametrize("path", ["/chat", "/streams"])
@pytest.mark.parametrize("form", [False, True])
def test_a_preset_adds_its_prompt_model_and_parameters(client, calls, path, form):
    asked = {"prompt": "Hi", "preset": "pirate"}
    assert client.post(path, **({"data": asked} if form else {"json": asked})).status_code in (200, 201)
    (call,) = calls
    assert call.question.body == {
        "model": "demo?tokens=3",
        "messages": [SYSTEM, HI],
        "temperature": 0.5,
        "stop": ["x"],
    }


def test_an_event_source_names_one(client, calls):
    assert client.get("/chat?prompt=Hi&preset=pirate", headers={"Accept": "text/event-stream"}).data
    assert calls[0].question.body["messages"] == [SYSTEM, HI]


def test_a_request_may_change_one_that_is_not_locked(client, calls):
    own = {"system": "Be brief.", "model": "demo?tokens=2", "temperature": 1}
    client.post("/chat", json={"prompt": "Hi", "preset": "pirate", **own})
    (call,) = calls
    assert call.question.body == {
        "model": "demo?tokens=2",
        "messages": [{"role": "system", "content": "Be brief."}, HI],
        "temperature": 1,
        "stop": ["x"],
    }


@pytest.mark.parametrize(
    ("own", "param"),
    [
        ({"system": "Mine."}, "system"),
        ({"messages": [{"role": "developer", "content": "Mine."}]}, "system"),
        ({"model": "demo?tokens=2"}, "model"),
        ({"temperature": 1, "top_p": 1}, "temperature"),
        ({"max_tokens": 8}, "max_tokens"),
        ({"stop": "x"}, "stop"),
    ],
)
def test_a_locked_one_can_not_be_changed(client, calls, own, param):
    response = client.post("/chat", json={"prompt": "Hi", "preset": "locked", **own})
    error = response.json["error"]
    assert (response.status_code, error["code"], error["param"]) == (409, "preset_locked", param)
    assert error["message"].startswith(f"The preset 'locked' is locked: leave out {param}")
    assert not calls


def test_what_a_locked_one_says_itself_may_be_said(client, calls):
    same = {"model": "demo", "max_tokens": 9}
    assert client.post("/chat", json={"prompt": "Hi", "preset": "locked", **same}).status_code == 200
    assert calls[0].question.body["messages"] == [SYSTEM, HI]


@pytest.mark.parametrize("none", ["", "none"])
def test_the_default_is_for_who_names_none(with_default, calls, none):
    client = with_default(locked=False).test_client()
    for asked in ({}, {"preset": "plain"}, {"preset": none}):
        client.post("/chat", json={"prompt": "Hi", **asked})
        client.post("/chat", data={"prompt": "Hi", **asked})
    assert [call.hidden for call in calls] == [len(SECRET), len(SECRET), 0, 0, 0, 0]
    assert client.post("/v1/chat/completions", json={"messages": [HI]}).status_code == 200
    assert calls[-1].question.body["messages"] == [HI]


def test_a_locked_default_can_not_be_left_out(with_default, calls):
    client = with_default(locked=True).test_client()
    for path, asked in (
        ("/chat", {"prompt": "Hi", "preset": "none"}),
        ("/streams", {"prompt": "Hi", "system": "Mine."}),
        ("/v1/chat/completions", {"messages": [HI]}),
        ("/v1/completions", {"prompt": "Hi"}),
    ):
        response = client.post(path, json=asked)
        assert (response.status_code, response.json["error"]["code"]) == (409, "preset_locked"), path
    assert not calls
    assert client.post("/chat", json={"prompt": "Hi", "preset": "plain"}).status_code == 200


@pytest.mark.parametrize("preset", ["unknown", 5, ["pirate"]])
def test_an_unknown_one_is_refused(client, preset):
    response = client.post("/chat", json={"prompt": "Hi", "preset": preset})
    assert (response.status_code, response.json["error"]["param"]) == (400, "preset")
    if preset == "unknown":
        there = "There is no preset 'unknown'; there is pirate, locked, plain."
        assert response.json["error"]["message"] == there


def test_another_preset_makes_another_question(client):
    def ask(preset):
        sent = {"prompt": "Hi", "preset": preset}
        return client.post("/chat", json=sent, headers={"Idempotency-Key": "k"}).status_code

    assert [ask("pirate"), ask("pirate"), ask("plain")] == [200, 200, 422]


def test_its_model_and_length_are_held_to_the_callers_limits(make_app, calls):
    client = make_app(presets=(LOCKED,), max_tokens=4, max_prompt=2).test_client()
    assert client.post("/chat", json={"prompt": "Hi", "preset": "locked"}).status_code == 200
    assert calls[0].question.options.max_tokens == 4


JSON = [
    {"name": "pirate", "title": "A pirate", "locked": False, "default": False, "model": "demo?tokens=3"},
    {"name": "locked", "title": "locked", "locked": True, "default": False, "model": None},
    {"name": "plain", "title": "plain", "locked": False, "default": False, "model": None},
]


def test_they_are_listed_by_accept(client):
    response = client.get("/presets")
    assert response.json == {"presets": JSON}
    assert client.get("/presets", headers={"Accept": "text/plain"}).text.splitlines()[0] == "pirate\tA pirate"
    page = client.get("/presets", headers={"Accept": "text/html"})
    assert page.mimetype == "text/html" and "A pirate <code>pirate</code>" in page.text
    assert client.get("/presets?format=text").mimetype == "text/plain"
    assert client.get("/presets", headers={"Accept": "image/png"}).status_code == 406
    for response in (client.get("/presets"), page, client.get("/")):
        assert SECRET not in response.text and "Canary" not in response.text


def hidden_fields(page: str) -> dict[str, str]:
    """What the last form carries."""
    form = page.rpartition("<form")[2]
    pairs = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: value.replace("&#34;", '"') for name, value in pairs}


def test_a_conversation_by_form_goes_on_with_its_preset_and_never_carries_the_prompt(client, calls):
    page = client.post("/chat", data={"prompt": "Hi", "preset": "locked", "format": "html"})
    carried = hidden_fields(page.text)
    assert carried["preset"] == "locked"
    page = client.post("/chat", data={**carried, "prompt": "And?"})
    assert page.status_code == 200
    first, second = (call.question.body["messages"] for call in calls)
    assert first[0] == second[0] == SYSTEM
    assert [message["role"] for message in second] == ["system", "user", "assistant", "user"]
    assert "Canary" not in page.text + str(carried)


def test_a_conversation_without_one_goes_on_so(with_default, calls):
    client = with_default(locked=False).test_client()
    page = client.post("/chat", data={"prompt": "Hi", "preset": "none", "format": "html"})
    client.post("/chat", data={**hidden_fields(page.text), "prompt": "And?"})
    assert [call.hidden for call in calls] == [0, 0]


def test_the_prompt_lies_in_no_file_and_no_log(make_app, tmp_path, caplog):
    app = make_app(presets=(PIRATE,), store=f"file:{tmp_path}/streams")
    client = app.test_client()
    with caplog.at_level("INFO"):
        for format in ("html", "text", "json", "sse", "ndjson"):
            client.post("/chat", data={"prompt": "Hi", "preset": "pirate", "format": format})
        client.post("/chat", data={"prompt": "Hi", "preset": "pirate", "model": "demo?fault=refuse"})
    files = [path for path in tmp_path.rglob("*.log") if path.is_file()]
    assert len(files) == 6
    assert not [path for path in files if b"Canary" in path.read_bytes()]
    assert "Canary" not in caplog.text + repr(app.extensions["millstream"].settings)
