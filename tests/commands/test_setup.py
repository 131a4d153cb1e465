"""`millstream setup`: what it finds, what it asks, what it writes."""

from __future__ import annotations

import socket
import tomllib
from dataclasses import replace

import pytest
from click.testing import CliRunner

from millstream.commands import candidates
from millstream.commands.setup import setup
from millstream.settings.providers import PROVIDERS
from tests.commands.ollama import Ollama


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Nothing on the usual ports, no key: whatever this machine has."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, and refuses: it doesn't listen
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        for name in candidates.LOCAL:
            monkeypatch.setitem(candidates.PROVIDERS, name, replace(PROVIDERS[name], base_url=dead))
        for provider in PROVIDERS.values():
            monkeypatch.delenv(provider.key or "NONE", raising=False)
        monkeypatch.delenv("OLLAMA_HOST", raising=False)
        monkeypatch.setenv("MILLSTREAM_CONFIG", str(tmp_path / "new/millstream.toml"))
        monkeypatch.setenv("MILLSTREAM_STATE", str(tmp_path / "state"))
        yield tmp_path / "new/millstream.toml"


def run(*words, says=""):
    done = CliRunner().invoke(setup, words, input=says)
    return done.exit_code, done.output


def test_a_server_on_this_machine_is_found_written_and_tried(config, monkeypatch):
    with Ollama("llama3.2", "qwen3") as ollama:
        monkeypatch.setenv("OLLAMA_HOST", ollama.host)
        code, said = run("--yes")
    assert code == 0, said
    assert tomllib.loads(config.read_text()) == {
        "model": "llama3.2",
        "upstreams": {"ollama": {"provider": "ollama", "base_url": f"http://{ollama.host}/v1"}},
    }
    assert ollama.asked == ["llama3.2"]
    assert f"Ollama at http://{ollama.host}/v1: 2 models" in said and "✓ first token" in said


def test_three_questions_at_most_choose_server_model_and_file(config, monkeypatch):
    with Ollama("a", "b") as ollama, Ollama("c", "d") as other:
        monkeypatch.setenv("OLLAMA_HOST", ollama.host)
        monkeypatch.setenv("XAI_API_KEY", "xai-secret")
        near = replace(PROVIDERS["xai"], base_url=f"http://{other.host}/v1")
        monkeypatch.setitem(candidates.PROVIDERS, "xai", near)
        code, said = run(says="2\nd\ny\n")
    assert code == 0, said
    assert (ollama.asked, other.asked) == ([], ["d"])
    assert tomllib.loads(config.read_text()) == {"model": "d", "upstreams": {"xai": {"provider": "xai"}}}
    assert "xai-secret" not in said + config.read_text()


def test_a_file_that_is_there_keeps_its_words(config, monkeypatch):
    config.parent.mkdir()
    config.write_text('# mine\nmodel = "b"\n[keys.a]\nsha256 = "' + "a" * 64 + '"\n')
    before = config.read_text()
    with Ollama("b") as ollama:
        monkeypatch.setenv("OLLAMA_HOST", f"http://{ollama.host}")
        assert run("--yes")[0] == 0
        assert config.read_text().startswith(before)
        code, said = run("--yes")
    assert code == 1 and "has [upstreams.ollama] already" in said


def test_nothing_found_says_what_to_do(config):
    code, said = run("--yes")
    assert code == 1 and "ollama pull" in said and "OPENAI_API_KEY" in said
    assert not config.exists()


def test_no_changes_nothing(config, monkeypatch):
    with Ollama("b") as ollama:
        monkeypatch.setenv("OLLAMA_HOST", ollama.host)
        assert run(says="n\n")[0] == 1
    assert not config.exists()


def test_a_server_without_a_model_is_told(config, monkeypatch):
    with Ollama() as ollama:
        monkeypatch.setenv("OLLAMA_HOST", ollama.host)
        code, said = run("--yes")
    assert code == 1 and "ollama pull llama3.2" in said


@pytest.mark.parametrize(("provider", "title"), list(candidates.LOCAL.items()))
def test_each_server_is_found_at_its_usual_address_but_millstream_itself_is_none(
    config, monkeypatch, provider, title
):
    with Ollama("m") as server, Ollama("m", ours=True) as millstream:
        for found, host in ((True, server.host), (False, millstream.host)):
            usual = replace(PROVIDERS[provider], base_url=f"http://{host}/v1")
            monkeypatch.setitem(candidates.PROVIDERS, provider, usual)
            says = [one.says for one in candidates.look({})]
            assert says == ([f"{title} at http://{host}/v1: 1 model"] if found else [])
