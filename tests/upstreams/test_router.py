from pathlib import Path

import pytest

from millstream.errors import MillstreamError
from millstream.settings import SettingError, Settings, UpstreamSettings
from millstream.upstreams import local
from millstream.upstreams.router import Router


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
        ([table("a", "opneai", "m")], "", "demo, local, openai"),
        ([table("a", "openai", "m"), table("b", "openai", "m")], "", r"upstreams\.b\.models has 'm'.*upstreams\.a"),
        ([table("a", "openai", "*"), table("b", "openai", "*")], "m", r"has '\*'"),
        ([table("a", "openai")], "", r"upstreams\.a has no models"),
        ([table("a", "openai", "*")], "", "MILLSTREAM_MODEL"),
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
