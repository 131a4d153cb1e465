"""Providers by name."""

import pytest

from millstream.settings import SettingError, Settings, load
from millstream.settings.providers import PROVIDERS
from millstream.upstreams.router import build


def upstream(tmp_path, text, **environ):
    file = tmp_path / "millstream.toml"
    file.write_text(f"[upstreams.x]\n{text}\n")
    return load(environ, file).upstreams[0]


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_provider_is_an_upstream_that_can_be_built(tmp_path, name):
    provider = PROVIDERS[name]
    environ = {provider.key: "key-0123456789"} if provider.key else {}
    found = upstream(tmp_path, f'provider = "{name}"', **environ)
    assert (found.kind, found.base_url, found.models) == (provider.kind, provider.base_url, provider.models)
    assert found.api_key.reveal() == next(iter(environ.values()), "")
    assert build(found, Settings()).name == "x"


def test_what_the_table_says_comes_first(tmp_path):
    text = 'provider = "deepseek"\nbase_url = "http://127.0.0.1:9/v1"\nmodels = ["a"]\napi_key = "env:MINE"'
    found = upstream(tmp_path, text, MINE="mine", DEEPSEEK_API_KEY="theirs")
    assert (found.base_url, found.models, found.api_key.reveal()) == ("http://127.0.0.1:9/v1", ("a",), "mine")
    legacy = upstream(tmp_path, 'provider = "deepseek"\nkind = "completions"')
    assert (legacy.kind, legacy.extra) == ("completions", {})


@pytest.mark.parametrize("name", ['"depseek"', "7"])
def test_an_unknown_provider_is_named(tmp_path, name):
    with pytest.raises(SettingError, match="deepseek, doubao"):
        upstream(tmp_path, f"provider = {name}")


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({"DEEPSEEK_API_KEY": "k"}, ["deepseek"]),
        ({"DASHSCOPE_API_KEY": "k"}, ["dashscope"]),
        ({"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k"}, ["openai"]),
        ({"GROQ_API_KEY": "k", "XAI_API_KEY": "k"}, []),
        ({"VLLM_API_KEY": "k"}, []),
    ],
)
def test_a_providers_key_alone_makes_it_the_upstream(environ, names):
    assert [one.name for one in load(environ).upstreams] == names
