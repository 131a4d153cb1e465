"""What newcomers write into the settings file, and the sentence that ends the slip."""

from __future__ import annotations

import pytest

from millstream.settings import SettingError, load
from millstream.upstreams.router import Router

OPENAI = '[upstreams.a]\nkind = "openai"\nbase_url = "https://api.example/v1"\nmodels = ["m"]\n'
SHA = "a" * 64

# ruff: noqa: E501 — a slip a line
# slip: (the file, what the sentence says)
SLIPS = {
    "a setting of the server below a table": (OPENAI + "grace = 5\n", "upstreams.a.grace is a setting of the whole server; write it at the top of the file, above the first [table]"),
    "the same in a key": (f"[keys.a]\nsha256 = '{SHA}'\nstreams_total = 5\n", "keys.a.streams_total is a setting of the whole server"),
    "model for models": (OPENAI.replace("models = [", "model = ["), "did you mean models?"),
    "a misspelt name": (OPENAI + 'aip_key = "x"\n', "upstreams.a.aip_key is not a setting of the kind openai; did you mean api_key?"),
    "a misspelt name at the top": ("heartbeet = 5\n", "heartbeet is not a setting; did you mean heartbeat?"),
    "upstream for upstreams": ('[upstream.a]\nkind = "demo"\n', "upstream is not a setting; did you mean upstreams? ({path}, line 1)"),
    "a misspelt name in a key": (f"[keys.a]\nsha256 = '{SHA}'\nmodel = ['x']\n", "did you mean models?"),
    "a provider as the kind": ('[upstreams.a]\nkind = "deepseek"\n', 'which is a provider; write provider = "deepseek" instead of it'),
    "a variable as a shell has it": (OPENAI + 'api_key = "$MY_KEY"\n', 'write api_key = "env:MY_KEY"'),
    "the same in braces": (OPENAI + 'api_key = "${MY_KEY}"\n', 'write api_key = "env:MY_KEY"'),
    "one name for a list": (OPENAI.replace('["m"]', '"m"'), 'it has to be a list of names: ["m"]'),
    "the whole address of the API": (OPENAI.replace("/v1", "/v1/chat/completions"), "leave out /chat/completions, which is added"),
    "quotes forgotten": ("model = gpt-4o\n", 'line 1, column 9); texts are written in quotes: model = "gpt-4o"'),
    "the word Bearer": (OPENAI + 'api_key = "Bearer sk-1"\n', "leave out the word Bearer"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), SLIPS.values(), ids=SLIPS)
def test_a_slip_ends_with_its_sentence(text, says, tmp_path):
    path = tmp_path / "millstream.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingError) as refused:
        Router(load({}, path))
    assert says.replace("{path}", str(path)) in str(refused.value)


def test_a_misspelt_variable_is_told(tmp_path):
    with pytest.raises(
        SettingError, match="MILLSTREAM_GRACES in the environment is not a setting; did you mean MILLSTREAM_GRACE"
    ):
        load({"MILLSTREAM_GRACES": "1"}, tmp_path / "none")
