"""`[keys.NAME]` as they are read, and site names and secrets beside them."""

from __future__ import annotations

import pytest

from millstream.settings import KeySettings, SettingError, load

DIGEST = "0123456789abcdef" * 4


def read(tmp_path, text, **environ):
    (tmp_path / "x.toml").write_text(text)
    return load(environ, tmp_path / "x.toml")


def test_a_key_is_read_with_all_it_may(tmp_path):
    text = f"""[keys."a.b-c_1"]
        sha256 = "{DIGEST.upper()}"
        operator = true
        models = ["m"]
        requests_per_minute = 1
        streams = 2
        tokens_per_day = 3
        max_prompt = 4
        max_tokens = 5
        budget = "6/week"
        keep = false"""
    assert read(tmp_path, text).keys == (
        KeySettings("a.b-c_1", DIGEST, True, ("m",), 1, 2, 3, 4, 5, "6/week", keep=False),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[keys."a b"]\nsha256 = "DIGEST"', "keys.'a b': a key's name has up to 40 letters"),
        ('[keys."a\\r\\nb"]\nsha256 = "DIGEST"', "a key's name"),
        ("[keys.a]", "keys.a has no sha256; `millstream keys add a` makes a key"),
        ('[keys.a]\nsha256 = "ms-secret"', "keys.a.sha256 has to be 64 hexadecimal digits"),
        ("[keys.a]\nsha256 = 5", "keys.a.sha256 has to be 64 hexadecimal digits"),
        ('[keys.a]\nsha256 = "DIGEST"\noperator = "perhaps"', "keys.a.operator is 'perhaps'"),
        ('[keys.a]\nsha256 = "DIGEST"\nmodels = "m"', "keys.a.models is 'm'"),
        ('[keys.a]\nsha256 = "DIGEST"\nstreams = -1', "keys.a.streams is -1; it has to be a whole number"),
        ('[keys.a]\nsha256 = "DIGEST"\nsecret = "x"', "keys.a.secret is not a setting of a key"),
        ('keys = "ms-secret"', "keys has to be tables"),
        ('[keys]\na = "ms-secret"', "keys.a has to be a table"),
        ('cors = ["https://a.example/"]', "cors has 'https://a.example/'; a site is written as https://app.example"),
        ('cors = ["*"]', "cors has '*'"),
        ('cors = ["https://A.example"]', "cors has 'https://A.example'"),
        ('cors = ["null"]', "cors has 'null'"),
        ('session_secret = "short-secret"', "session_secret has to be file:FILE, or 32 or more random characters"),
        ('session_secret = "env:ABSENT"', "the environment has no ABSENT"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_shown(tmp_path, text, says):
    with pytest.raises(SettingError) as caught:
        read(tmp_path, text.replace("DIGEST", DIGEST))
    assert says in str(caught.value)
    assert not any(secret in str(caught.value) for secret in (DIGEST, "ms-secret", "short-secret"))


def test_two_keys_cant_be_the_same(tmp_path):
    with pytest.raises(SettingError, match=r"keys.b has the same sha256 as keys.a"):
        read(tmp_path, f'[keys.a]\nsha256 = "{DIGEST}"\n[keys.b]\nsha256 = "{DIGEST}"')


def test_the_secret_comes_from_a_variable_and_shows_nothing_of_itself(tmp_path):
    found = read(tmp_path, 'session_secret = "env:MINE"', MINE="s" * 40)
    assert found.session_secret.reveal() == "s" * 40
    assert "sss" not in repr(found)
