"""An error in the settings file names its line."""

from __future__ import annotations

import pytest

from millstream.settings import SettingError, load

SHA = "a" * 64
# the file, the line that the message names (None: the environment's fault), a piece of the message
FILES = [
    ("# mine\nttl = 'x'\n", 2, "ttl is 'x'"),
    ("ttl = 5\n\n[upstreams.a]\n\nmodels = ['x']\n", 3, "upstreams.a has no kind"),
    ("[upstreams.a]\nkind = 'openai'\n# …\nbase_url = 'nowhere'\n", 4, "upstreams.a.base_url is 'nowhere'"),
    ('[prices."gpt-4.1"]\ninput = 1\noutput = "dear"\n', 3, 'prices."gpt-4.1".output is'),
    (f"[keys.a]\nsha256 = '{SHA}'\n[keys.b]\nsha256 = '{SHA}'\n", 3, "keys.b has the same sha256"),
    ("[upstreams]\na.kind = 'openai'\na.retries = -1\n", 3, "upstreams.a.retries is -1"),
    ("grace = 1\nttl = x\n", 2, "is not valid TOML"),
]


@pytest.mark.parametrize(("text", "line", "says"), FILES)
def test_the_line_is_named(text, line, says, tmp_path):
    path = tmp_path / "millstream.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingError) as refused:
        load({}, path)
    assert says in str(refused.value)
    assert f"line {line}" in str(refused.value) and str(path) in str(refused.value)


def test_what_the_environment_has_wrong_has_no_line(tmp_path):
    (tmp_path / "millstream.toml").write_text("ttl = 5\n", "utf-8")
    with pytest.raises(SettingError, match=r"^MILLSTREAM_TTL is 'x'; it has to be a number of s, 1 or more$"):
        load({"MILLSTREAM_TTL": "x"}, tmp_path / "millstream.toml")


def test_a_byte_order_mark_is_no_part_of_the_settings(tmp_path):
    (tmp_path / "millstream.toml").write_text("ttl = 5\n", "utf-8-sig")
    assert load({}, tmp_path / "millstream.toml").ttl == 5
