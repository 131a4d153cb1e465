"""Providers by name."""

import pytest

from millstream.settings import SettingError, Settings, load
from millstream.settings.providers import PROVIDERS
from millstream.upstreams.decoder import Decoder
from millstream.upstreams.router import build
from tests.upstreams.recorded import CALL, SOURCES, WIRE, seen, wanted


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


# What was recorded of each provider, in tests/wire, or made after its published example: then its file says so.
RECORDED = {
    "anthropic": ["anthropic/recorded_mixed", "anthropic/recorded_redacted"],
    "dashscope": ["openai/qwen", "openai/qwen_tool"],
    "deepseek": ["openai/comments", "openai/reasoning_content", "openai/finish_insufficient_system_resource"],
    "doubao": ["openai/doubao"],
    "gemini": ["openai/gemini_index0"],
    "groq": ["openai/usage_groq", "openai/think"],
    "llama.cpp": ["openai/llamacpp", "openai/error_llamacpp_old"],
    "lmstudio": ["openai/error_lmstudio", "openai/think"],
    "minimax": ["openai/minimax_final", "openai/error_base_resp"],
    "mistral": ["openai/magistral"],
    "moonshot": ["openai/moonshot_usage"],
    "ollama": ["openai/ollama"],
    "openai": ["openai/openai", "openai/tool_calls", "openai/refusal", "openai/error_openai"],
    "openrouter": ["openai/reasoning", "openai/error_openrouter"],
    "perplexity": ["openai/perplexity"],
    "qianfan": ["openai/error_words_of_its_own"],
    "qwen": ["openai/qwen", "openai/qwen_tool"],
    "spark": ["openai/iflytek", "openai/error_iflytek"],
    "together": ["openai/together", "openai/think"],
    "vllm": ["openai/error_vllm", "openai/think"],
    "xai": ["openai/xai_reasoning"],
    "zhipu": ["openai/one_line_end_between_events"],
}


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in RECORDED.items() for case in cases])
def test_a_provider_is_read_as_it_was_recorded(tmp_path, name, case):
    assert RECORDED.keys() == PROVIDERS.keys()
    made = build(upstream(tmp_path, f'provider = "{name}"'), Settings())
    path = WIRE / f"{case}.sse"
    want, says, _ = wanted(path)
    got, message = seen([path.read_bytes()], Decoder(made.reader(CALL), CALL, "test"), SOURCES[".sse"])
    assert got == want
    assert says in message


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
