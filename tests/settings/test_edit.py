"""`[keys.NAME]` put into the settings file and taken out of it, and nothing else of the file touched."""

from __future__ import annotations

import stat
import tomllib
from concurrent.futures import ThreadPoolExecutor

import pytest

from millstream.settings import SettingError, load
from millstream.settings.edit import add_key, list_keys, remove_key

DIGEST = "a" * 64
FILES = {
    "absent": None,
    "empty": "",
    "comments": "# ours\nttl = 5  # short\n",
    "no line end": "ttl = 5",
    "windows": '# ours\r\n[upstreams.a]\r\nkind = "demo"\r\n',
    "another key": f'[keys.old]  # Anna\nsha256 = "{"b" * 64}"\n\n# the demo\n[upstreams.a]\nkind = "demo"\n',
    "dotted": f'keys.old.sha256 = "{"b" * 64}"\n[upstreams.a]\nkind = "demo"\n',
    "looks like it": '[upstreams.a]\nkind = "demo"\nmodels = ["""\n[keys.me]\n"""]\n',
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "millstream.toml"


@pytest.mark.parametrize("before", FILES.values(), ids=FILES)
def test_adding_a_key_and_taking_it_out_leaves_the_file_as_it_was(path, before):
    if before is not None:
        path.write_bytes(before.encode())
    add_key(path, "me", {"sha256": DIGEST, "operator": True, "models": ['a"\\b'], "streams": 3})
    text = path.read_bytes().decode()
    assert text.startswith(before or "")
    (key,) = [key for key in load({}, path).keys if key.name == "me"]
    assert (key.sha256, key.operator, key.models, key.streams) == (DIGEST, True, ('a"\\b',), 3)
    remove_key(path, "me")
    assert path.read_bytes().decode().rstrip() == (before or "").rstrip()


def test_only_the_keys_own_table_goes(path):
    lines = [
        "# Anna left",
        f'[ "keys" . old ]\nsha256 = "{DIGEST}"',
        "# the demo",
        '[upstreams.a]\nkind = "demo"',
        "",
    ]
    lines[1] = f'[keys."old"] # hers\nsha256 = "{DIGEST}" # secret\nmodels = [\n  "x",\n# [keys.no]\n]\n'
    path.write_text("\n".join(lines))
    remove_key(path, "old")
    assert path.read_text() == '# Anna left\n\n# the demo\n[upstreams.a]\nkind = "demo"\n'


@pytest.mark.parametrize(
    ("before", "name", "says"),
    [
        ("", "a b", "a key's name"),
        (f'[keys.me]\nsha256 = "{DIGEST}"\n', "me", r"has \[keys.me\] already"),
        ("ttl = = 5", "me", "not valid TOML"),
        ("keys = {}", "me", "edit it by hand"),
    ],
)
def test_what_cant_be_added_changes_nothing_and_says_why(path, before, name, says):
    path.write_text(before)
    with pytest.raises(SettingError, match=says):
        add_key(path, name, {"sha256": DIGEST})
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("", "has no .keys.me.; it has no key"),
        (f'keys = {{ me = {{ sha256 = "{DIGEST}" }} }}', "edit it by hand"),
        (f'[keys]\nme.sha256 = "{DIGEST}"', "edit it by hand"),
    ],
)
def test_what_cant_be_taken_out_changes_nothing_and_says_why(path, before, says):
    path.write_text(before)
    with pytest.raises(SettingError, match=says):
        remove_key(path, "me")
    assert path.read_text() == before


def test_the_file_keeps_its_mode_and_a_new_one_is_for_its_owner_alone(path):
    add_key(path, "a", {"sha256": DIGEST})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    add_key(path, "b", {"sha256": DIGEST})
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_one(path, tmp_path):
    (tmp_path / "real").mkdir()
    path.symlink_to(tmp_path / "real" / "file.toml")
    add_key(path, "a", {"sha256": DIGEST})
    assert path.is_symlink()
    assert [key.name for key in list_keys(path)] == ["a"]


def test_of_many_that_are_added_at_once_none_is_lost(path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: add_key(path, f"k{n}", {"sha256": DIGEST}), range(20)))
    assert len(tomllib.loads(path.read_text())["keys"]) == 20
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cant_be_written_is_named(path):
    with pytest.raises(SettingError, match="can't be changed: No such file"):
        add_key(path.parent / "absent" / "x.toml", "me", {"sha256": DIGEST})
