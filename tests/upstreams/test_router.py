import json
from dataclasses import replace
from pathlib import Path

import pytest

from millstream.errors import MillstreamError
from millstream.settings import Secret, SettingError, Settings, UpstreamSettings
from millstream.upstreams import catalogue, local
from millstream.upstreams.router import Router
from tests.upstreams.fake import whole


def table(name, kind="openai", *models, **values):
    values.setdefault("base_url", "http://127.0.0.1:9/v1" if kind == "openai" else "")
    return UpstreamSettings(name, kind, models, **values)


def router(*tables, model=""):
    return Router(Settings(upstreams=tables, model=model))


ALL = (table("a", "openai", "one", "two?x=1"), table("any", "openai", "*"), table("show", "demo"))


@pytest.mark.parametrize(
    ("model", "upstream"),
    [
        ("one", "a"),
        ("two?x=1", "a"),
        ("demo", "show"),
        ("demo?pace=3", "show"),
        ("one?pace=3", "any"),
        ("something/else", "any"),
        ("", "any"),
    ],
)
def test_a_model_finds_its_upstream(model, upstream):
    assert router(*ALL).find(model).name == upstream


def test_the_names_to_ask_for():
    assert router(*ALL).models() == ["one", "two?x=1", "demo"]


@pytest.mark.parametrize(("model", "default"), [("", "one"), ("two?x=1", "two?x=1"), ("new", "new")])
def test_the_default_is_the_setting_or_the_first_model(model, default):
    assert router(*ALL, model=model).default == default


def test_an_unknown_model_gets_a_list():
    with pytest.raises(MillstreamError) as caught:
        router(table("a", "openai", *(f"model-{n}" for n in range(20)))).find("x" * 1000)
    assert (caught.value.code, caught.value.status, caught.value.param) == ("model_not_found", 404, "model")
    assert "model-0, model-1" in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("tables", "model", "words"),
    [
        ([table("a", "opneai", "m")], "", "demo, local, ollama, openai"),
        ([table("a", "openai", "m"), table("b", "openai", "m")], "", r"upstreams\.b\.models has 'm'.*upstreams\.a"),
        ([table("a", "openai", "*"), table("b", "openai", "*")], "m", r"has '\*'"),
        ([table("a", "azure", base_url="https://a.example")], "", r"upstreams\.a has no models"),
        ([table("a", "azure", "*", base_url="https://a.example")], "", "MILLSTREAM_MODEL"),
        ([table("a", "openai", "m")], "other", "'other'"),
        ([table("a", "openai", "m", extra={"pace": 3})], "", "pace"),
        ([table("a", "demo", extra={"ca_file": "x"})], "", "ca_file"),
    ],
)
def test_a_wrong_setting_stops_the_start(tables, model, words):
    with pytest.raises(SettingError, match=words):
        router(*tables, model=model)


def test_with_nothing_configured_and_no_local_model_the_demo_answers(monkeypatch):
    monkeypatch.setattr(local, "available", lambda settings: False)
    settings = Settings(first_token=7.0)
    assert Router(settings).default == "demo"
    assert Router(settings).find("demo").deadlines.first_token == 7.0


def test_with_nothing_configured_the_local_model_answers(monkeypatch, tmp_path):
    file = tmp_path / "Some-Model-1B-Instruct.Q4_K_M.gguf"
    file.write_bytes(b"GGUF")
    monkeypatch.setattr(local.importlib.util, "find_spec", lambda name: object())
    routed = Router(Settings(local_model=str(file)))
    assert (routed.default, routed.find(routed.default).name) == ("Some-Model-1B-Instruct", "local")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct"),
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "qwen2.5-0.5b-instruct"),
        ("gemma-2-2b-it-IQ2_XS.gguf", "gemma-2-2b-it"),
        ("tiny.BF16.gguf", "tiny"),
        ("tiny-f16.gguf", "tiny"),
        ("plain.gguf", "plain"),
        ("v1.5.gguf", "v1.5"),
    ],
)
def test_a_local_model_has_its_files_name(file, name):
    assert local.model_name(Path(file)) == name


def test_a_local_model_that_is_not_there_is_named():
    with pytest.raises(SettingError, match=r"/nowhere\.gguf"):
        Router(Settings(local_model="/nowhere.gguf"))


def test_the_local_model_has_no_other_settings(tmp_path):
    with pytest.raises(SettingError, match="base_url, pace"):
        router(table("l", "local", base_url="http://127.0.0.1", extra={"pace": 1}))


# -- discovered models ---------------------------------------------------------------------------------------------


def listing(fake, *names, **values):
    """An upstream that says it has these models, and its settings."""
    server = fake()
    server.models = whole(body=json.dumps({"data": [{"id": name} for name in names]}).encode())
    return server, replace(server.settings(), name=values.pop("name", "auto"), models=(), **values)


def test_an_upstream_without_models_is_asked_for_its_list(fake):
    server, settings = listing(fake, "text-embedding-3-small", "gpt-x", "gpt-y")
    routed = router(settings, table("b", "openai", "gpt-y"))
    assert routed.models() == ["gpt-y", "gpt-x"]
    assert [routed.find(name).name for name in ("gpt-x", "gpt-y", "text-embedding-3-small")] == ["auto", "b", "auto"]
    assert (routed.default, routed.knows("gpt-x"), routed.knows("gpt-z")) == ("gpt-y", True, False)
    assert len(server.listed) == 1 and server.listed[0].startswith(b"GET /v1/models HTTP/1.1")


def test_with_a_key_alone_the_lists_first_chat_model_answers_and_the_log_says_which(fake, caplog):
    caplog.set_level("INFO", "millstream")
    _, settings = listing(fake, "whisper-1", "gpt-x")
    assert router(settings).default == "gpt-x"
    assert "asking gpt-x, the first of the list" in caplog.text


def test_an_unknown_name_has_the_list_asked_for_again(fake, monkeypatch):
    server, settings = listing(fake, "old")
    routed = router(settings)
    assert routed.find("old").name == "auto"
    monkeypatch.setattr(catalogue, "SOON", -1.0)
    server.models = whole(body=b'{"data":[{"id":"new"}]}')
    assert routed.find("new").name == "auto"
    with pytest.raises(MillstreamError, match="there is new"):
        routed.find("newest")


def test_a_list_that_cannot_be_had_is_no_reason_not_to_start(fake):
    server = fake()  # 404 for the list
    routed = router(replace(server.settings(), models=()))
    assert (routed.find("any").name, routed.models()) == ("fake", [])
    with pytest.raises(MillstreamError, match="gave no list of its models"):
        _ = routed.default


def test_a_fallback_is_asked_for_the_same_model_if_its_list_has_it_else_for_its_first(fake):
    _, other = listing(fake, "b-1", "shared", name="other")
    first = table("first", "openai", "a-1", "shared", fallback=("other",))
    routed = router(first, other)
    assert [routed.find(name)._members[1].model for name in ("a-1", "shared")] == ["b-1", ""]


def test_what_a_model_can_is_said_by_the_settings_or_else_by_its_list_or_kind(fake):
    server, first = listing(fake, vision=("sees", "maybe"))
    sees = {"capabilities": {"vision": True}}
    server.models = whole(body=json.dumps([{"id": "sees"}, {"id": "blind", **sees}, {"id": "maybe"}]).encode())
    other = replace(first, name="other", vision=None)
    secrets = {"api_key": Secret("k"), "extra": {"app_id": Secret("a"), "api_secret": Secret("s")}}
    spark = table("spark", "spark", "4.0Ultra", "lite", **secrets)
    named = table("named", "openai", "x", vision=False)
    found = router(first, named, table("old", "completions", "old", base_url=named.base_url), spark)
    assert found.find("sees").name == "auto"
    names = ("sees", "blind", "maybe", "x", "4.0Ultra", "lite", "old", "who")
    can = [known and (known.tools, known.vision) for known in map(found.model, names)]
    by_settings = [(None, True), (None, False), (None, True), (None, False)]
    assert can == [*by_settings, (True, False), (False, False), (False, False), None]
    listed = router(other)
    assert listed.find("blind") and [listed.model(name).vision for name in names[:3]] == [None, True, None]


def test_ollama_is_asked_about_each_of_its_models(fake):
    shown = [b'{"capabilities":["completion","vision"]}', b'{"capabilities":["embedding"]}', b'{"details":{}}']
    server = fake(*(whole(body=body) for body in shown), whole("404 Not Found"))
    names = ("llava", "nomic", "old", "gone", "after")
    server.models = whole(body=json.dumps({"models": [{"name": name} for name in names]}).encode())
    routed = router(replace(server.settings(), kind="ollama", models=()))
    assert routed.models() == ["llava", "old", "gone", "after"]
    assert [routed.model(name).vision for name in names] == [True, False, None, None, None]
    assert (routed.model("llava").tools, server.requests[0][:22]) == (False, b"POST /v1/api/show HTTP")


def test_who_names_no_model_where_none_is_known_reads_what_a_visitor_can_do(fake):
    _, settings = listing(fake, "whisper-1")
    with pytest.raises(MillstreamError, match="set MILLSTREAM_MODEL") as caught:
        _ = router(settings).default
    assert caught.value.failure().message == "No model is known yet. Name one, or try again later."
