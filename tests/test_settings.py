"""Settings: from the environment and the file, checked, and silent about secrets."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest

from millstream.events import Usage
from millstream.settings import (
    SECRETS,
    TABLES,
    PresetSettings,
    Price,
    Secret,
    SettingError,
    Settings,
    UpstreamSettings,
    load,
)
from millstream.settings.prices import cost
from millstream.upstreams.router import Router, build


class Revealed(str):
    """Equal to a Secret that holds it."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        return other.reveal() == str(self)


KEY = "sk-very-secret-0123456789"

# setting: (in the environment, in the file, as it is read)
GOOD = {
    "state": ("/srv/x", '"/srv/x"', "/srv/x"),
    "store": ("memory:", '"memory:"', "memory:"),
    "ttl": ("1.5", "1.5", 1.5),
    "grace": ("0", "0", 0.0),
    "grace_new": ("0", "0", 0.0),
    "keep": ("no", "false", False),
    "heartbeat": ("0.1", "0.1", 0.1),
    "retry": ("0", "0", 0),
    "status_wait": ("0", "0", 0.0),
    "poll_max": ("3", "3", 3.0),
    "connect": ("1", "1", 1.0),
    "first_token": ("2", "2", 2.0),
    "silence": ("3", "3", 3.0),
    "total": ("4", "4.0", 4.0),
    "slow_follower": ("9", "9", 9.0),
    "sndbuf": ("4096", "4096", 4096),
    "max_streams": ("7", "7", 7),
    "max_answer": ("7", "7", 7),
    "store_size": ("0", "0", 0),
    "max_body": ("10", "10.0", 10),
    "max_body_v1": ("11", "11.0", 11),
    "body_timeout": ("1", "1", 1.0),
    "graceful_timeout": ("30", "30", 30),
    "drain_margin": ("0", "0", 0),
    "hosts": ("a.example, b.example", '["a.example", "b.example"]', ("a.example", "b.example")),
    "open": ("yes", "true", True),
    "trusted_proxies": ("2", "2", 2),
    "cors": (
        "https://a.example, http://b:81",
        '["https://a.example", "http://b:81"]',
        ("https://a.example", "http://b:81"),
    ),
    "session_secret": ("file:s", '"file:s"', Revealed("file:s")),
    "session": ("60", "60", 60.0),
    "login_attempts": ("5", "5", 5),
    "model": ("m", '"m"', "m"),
    "local_model": ("/m.gguf", '"/m.gguf"', "/m.gguf"),
    "limits_store": ("sqlite:l.db", '"sqlite:l.db"', "sqlite:l.db"),
    "requests_per_minute": ("20", "20", 20),
    "requests_per_minute_address": ("30", "30", 30),
    "streams": ("3", "3", 3),
    "streams_total": ("100", "100", 100),
    "tokens_per_day": ("200000", "200_000", 200_000),
    "budget": ("10/month", '"10/month"', "10/month"),
    "budget_total": ("5 per day", '"5 per day"', "5 per day"),
    "max_prompt": ("4000", "4000", 4000),
    "max_tokens": ("500", "500", 500),
    "database": ("sqlite:///a.db", '"sqlite:///a.db"', "sqlite:///a.db"),
    "currency": ("CNY", '"CNY"', "CNY"),
    "log": ("text", '"text"', "text"),
    "log_level": ("debug", '"debug"', "debug"),
}
NAMES = [item.name for item in fields(Settings) if item.name not in TABLES]


@pytest.fixture
def read(tmp_path):
    """Settings from a file's text and from variables."""

    def read(text: str = "", **environ: str) -> Settings:
        path = tmp_path / "millstream.toml"
        path.write_text(text, "utf-8")
        return load({"MILLSTREAM_CONFIG": str(path), **environ})

    return read


@pytest.fixture
def refusal(read):
    """What the operator is told."""

    def refusal(text: str = "", **environ: str) -> str:
        with pytest.raises(SettingError) as caught:
            read(text, **environ)
        return str(caught.value)

    return refusal


def test_every_setting_has_a_sample_here():
    assert list(GOOD) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_environment_sets_it(read, name):
    value, _, wanted = GOOD[name]
    assert getattr(read(**{f"MILLSTREAM_{name.upper()}": value}), name) == wanted != getattr(Settings(), name)


@pytest.mark.parametrize("name", NAMES)
def test_the_file_sets_it(read, name):
    _, value, wanted = GOOD[name]
    assert getattr(read(f"{name} = {value}"), name) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name):
    (item,) = (item for item in fields(Settings) if item.name == name)
    assert item.metadata["says"]


def test_the_environment_comes_before_the_file_and_the_file_before_the_default(read):
    settings = read("grace = 3\nttl = 4", MILLSTREAM_GRACE="5")
    assert (settings.grace, settings.ttl, settings.heartbeat) == (5, 4, 15)


def test_nothing_set_gives_the_defaults(read):
    assert read() == Settings()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("TTL", "x", "a number of s, 1 or more"),
        ("TTL", "0.5", "a number of s, 1 or more"),
        ("GRACE", "-1", "a number of s, 0 or more"),
        ("GRACE", "nan", "a number of s, 0 or more"),
        ("GRACE", "inf", "a number of s, 0 or more"),
        ("GRACE", "", "a number of s, 0 or more"),
        ("MAX_STREAMS", "1.5", "a whole number, 1 or more"),
        ("SNDBUF", "1", "a whole number of bytes, 2048 or more"),
        ("OPEN", "maybe", "1 or 0"),
        ("HOSTS", "a,,b", "a list of names"),
    ],
)
def test_a_wrong_variable_is_named_with_its_value_and_what_is_allowed(refusal, name, value, allowed):
    said = refusal(**{f"MILLSTREAM_{name}": value})
    assert said.startswith(f"MILLSTREAM_{name} is ")
    assert value.split(",")[0] in said
    assert said.endswith(f"it has to be {allowed}")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ttl = true", "ttl is True; it has to be a number of s, 1 or more"),
        ("ttl = [1]", "ttl is [1]; it has to be a number of s"),
        ("max_streams = 1.5", "max_streams is 1.5; it has to be a whole number"),
        ("retry = inf", "retry is inf; it has to be a whole number of ms"),
        ("hosts = [1]", "hosts is [1]; it has to be a list of names"),
        ("model = 5", "model is 5; it has to be text"),
        ("graze = 5\nzeal = 1", "graze is not a setting; did you mean grace?"),
        ("upstreams = 5", "[upstreams.NAME]"),
        ("upstreams.a = 5", "[upstreams.a]"),
        ("[upstreams.a]", 'upstreams.a has no kind; write for example kind = "openai"'),
        ("[upstreams.a]\nkind = 5", "upstreams.a has no kind"),
        ('[upstreams.a]\nkind = "openai"\nvision = "x"', "upstreams.a.vision is 'x'; it has to be a list of names"),
        ('[upstreams.a]\nkind = "openai"\nmodels = "x"', "upstreams.a.models is 'x'; it has to be a list of names"),
        ('[upstreams.a]\nkind = "openai"\nsilence = 0', "upstreams.a.silence is 0; it has to be a number of s, 0.01"),
        ('[upstreams.a]\nkind = "openai"\nfallback = ["b"]', "upstreams.a.fallback names 'b'"),
        ('[upstreams.a]\nkind = "openai"\nfallback = ["a"]', "it has to be another upstream: (there is none)"),
        ('[upstreams.a]\nkind = "openai"\nbase_url = "x"', "upstreams.a.base_url is 'x'; it has to be an address"),
        ('[upstreams.a]\nkind = "openai"\nbase_url = "file:///etc/passwd"', "it has to be an address"),
        ('[upstreams.a]\nkind = "openai"\nbase_url = "http://[::1"', "it has to be an address"),
        ('[upstreams.a]\nkind = "openai"\nbase_url = "http://a:99999/"', "it has to be an address"),
        ('[upstreams.a]\nkind = "openai"\nbase_url = 5', "it has to be an address"),
        ("ttl = ", "is not valid TOML"),
    ],
)
def test_a_wrong_line_of_the_file_is_named(refusal, line, says):
    assert says in refusal(line)


def test_a_file_that_is_no_utf8_or_absent_is_named(tmp_path):
    path = tmp_path / "x.toml"
    for content, says in ((b"\xff", "is not valid TOML"), (None, "there is no such file")):
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        with pytest.raises(SettingError, match=says) as caught:
            load({"MILLSTREAM_CONFIG": str(path)})
        assert str(path) in str(caught.value)


def test_a_folder_instead_of_a_file_is_named(tmp_path):
    with pytest.raises(SettingError, match="can't be read: Is a directory"):
        load({"MILLSTREAM_CONFIG": str(tmp_path)})


def test_without_a_name_an_absent_file_is_no_error(tmp_path):
    assert load({}, tmp_path / "millstream.toml") == Settings()


def test_redis_url_is_where_limits_are_counted_unless_it_is_set(read):
    assert read(REDIS_URL="redis://a/0").limits_store == "redis://a/0"
    assert read('limits_store = "sqlite:x"', REDIS_URL="redis://a/0").limits_store == "sqlite:x"
    assert read(REDIS_URL="").limits_store == Settings().limits_store


# -- upstreams --------------------------------------------------------------------------------------------------


def test_an_upstream_has_the_general_limits_unless_it_has_its_own(read):
    text = 'silence = 7\nconnect = 2\n[upstreams.a]\nkind = "openai"\nconnect = 1'
    (upstream,) = read(text, MILLSTREAM_SILENCE="8").upstreams
    assert (upstream.connect, upstream.silence, upstream.total) == (1, 8, 900)


def test_what_belongs_to_one_kind_is_kept_for_it(read):
    (upstream,) = read('[upstreams.a]\nkind = "spark"\napp_id = "1"\nbase_url = "https://a.example/v1/"').upstreams
    assert (upstream.base_url, dict(upstream.extra)) == ("https://a.example/v1", {"app_id": "1"})


def test_a_value_can_stand_in_the_environment(read):
    text = '[upstreams.a]\nkind = "openai"\napi_key = "env:MY_KEY"\nbase_url = "env:MY_URL"'
    (upstream,) = read(text, MY_KEY=KEY, MY_URL="http://a.example").upstreams
    assert (upstream.api_key.reveal(), upstream.base_url) == (KEY, "http://a.example")


@pytest.mark.parametrize("environ", [{}, {"MY_KEY": ""}])
def test_a_variable_that_is_not_there_is_named(refusal, environ):
    said = refusal('[upstreams.a]\nkind = "openai"\napi_key = "env:MY_KEY"', **environ)
    assert said.startswith("upstreams.a.api_key is 'env:MY_KEY', but the environment has no MY_KEY (")


@pytest.mark.parametrize(
    ("environ", "base_url", "key"),
    [
        ({"OPENAI_API_KEY": KEY}, "https://api.openai.com/v1", KEY),
        ({"OPENAI_BASE_URL": "http://a.example/v1"}, "http://a.example/v1", ""),
        ({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://a.example/v1/"}, "http://a.example/v1", KEY),
    ],
)
def test_openais_own_variables_are_an_upstream_for_every_model(read, environ, base_url, key):
    (upstream,) = read(MILLSTREAM_MODEL="gpt", **environ).upstreams
    assert (upstream.name, upstream.kind, upstream.models) == ("openai", "openai", ("*",))
    assert (upstream.base_url, upstream.api_key.reveal()) == (base_url, key)


AZURE = {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": "https://a.example/"}
SPARK = {"IFLYTEK_SPARK_APP_ID": "app", "IFLYTEK_SPARK_API_KEY": KEY, "IFLYTEK_SPARK_API_SECRET": "secret"}


@pytest.mark.parametrize(
    ("environ", "kind", "models", "base_url", "extra"),
    [
        (AZURE, "azure", ("*",), "https://a.example", {}),
        (AZURE | {"OPENAI_API_VERSION": "v9"}, "azure", ("*",), "https://a.example", {"api_version": "v9"}),
        ({"ANTHROPIC_API_KEY": KEY}, "anthropic", ("*",), "", {}),
        (SPARK, "spark", ("lite",), "", {"app_id": "app", "api_secret": "secret"}),
    ],
)
def test_the_variables_of_other_providers_are_an_upstream(read, environ, kind, models, base_url, extra):
    (upstream,) = read(MILLSTREAM_MODEL="lite", **environ).upstreams
    assert (upstream.name, upstream.kind, upstream.models) == (kind, kind, models)
    assert (upstream.base_url, upstream.api_key.reveal()) == (base_url, KEY)
    shown = {name: value.reveal() if isinstance(value, Secret) else value for name, value in upstream.extra.items()}
    assert shown == extra
    build(upstream, Settings())


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_VERSION": "v9"}, dict.fromkeys([*AZURE, *SPARK], "")])
def test_variables_that_say_nothing_are_no_upstream(read, environ):
    assert read(**environ).upstreams == ()


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        (AZURE, "but no model: set MILLSTREAM_MODEL"),
        ({"AZURE_OPENAI_API_KEY": KEY}, "has AZURE_OPENAI_API_KEY, but no AZURE_OPENAI_ENDPOINT"),
        ({"IFLYTEK_SPARK_API_KEY": KEY}, "but no IFLYTEK_SPARK_APP_ID and no IFLYTEK_SPARK_API_SECRET"),
        (
            {"OPENAI_API_KEY": KEY, **AZURE},
            "OPENAI_API_KEY, AZURE_OPENAI_API_KEY, AZURE_OPENAI_ENDPOINT, so it is unclear",
        ),
    ],
)
def test_variables_that_leave_something_open_stop_the_start(refusal, environ, says):
    assert says in refusal(**environ)


def test_upstreams_in_the_file_come_before_the_providers_variables(read):
    (upstream,) = read('[upstreams.a]\nkind = "demo"', OPENAI_API_KEY=KEY).upstreams
    assert upstream.name == "a"


# -- prices -----------------------------------------------------------------------------------------------------


def test_a_price_is_read_digit_by_digit(read):
    free = "[prices.free]\ninput = 0\noutput = 0"
    settings = read(f'currency = "EUR"\n[prices."deepseek-chat"]\ninput = 0.27\noutput = "1.10"\n{free}')
    assert settings.currency == "EUR"
    assert settings.prices == (
        Price("deepseek-chat", Decimal("0.27"), Decimal("1.1")),
        Price("free", Decimal(), Decimal()),
    )


@pytest.mark.parametrize(
    ("models", "usage", "wanted"),
    [
        (["a"], Usage(1000, 1000), "0.00137"),
        (["a"], Usage(1, 0), "0.00000027"),
        (["a"], Usage(0, 0), "0"),
        (["none", "a"], Usage(0, 10_000_000), "11"),
        (["b", "a"], Usage(1, 1), "0.000000000001"),
        (["none"], Usage(1, 1), None),
        (["a"], None, None),
    ],
)
def test_a_cost_is_an_exact_decimal_by_the_first_name_that_has_a_price(models, usage, wanted):
    prices = (Price("a", Decimal("0.27"), Decimal("1.1")), Price("b", Decimal("0.000001"), Decimal()))
    assert cost(prices, models, usage) == wanted


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("[prices.a]\ninput = 1", 'prices."a" has no output; it is a price per million tokens'),
        ("[prices.a]\ninput = 1\noutput = 1\nimages = 2", 'prices."a".images is not part of a price'),
        *(
            (f"[prices.a]\ninput = {wrong}\noutput = 1", 'prices."a".input is ')
            for wrong in ("-1", "nan", "inf", "true", "[1]", '"1 USD"', "1e9", "0.0000001")
        ),
        ("prices = 5", "[prices.NAME]"),
        ('currency = "dollars"', "currency is 'dollars'; it has to be three capital letters, such as USD"),
        ("currency = 5", "three capital letters"),
        ('log = "xml"', "log is 'xml'; it has to be json or text"),
        (f'database = ["{KEY}"]', "database has to be text"),
    ],
)
def test_a_wrong_price_is_named(refusal, lines, says):
    said = refusal(lines)
    assert says in said
    assert KEY not in said


# -- the database -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, "of the file"),
        ({"DATABASE_URL": ""}, "of the file"),
        ({"DATABASE_URL": "usual"}, "usual"),
        ({"DATABASE_URL": "usual", "MILLSTREAM_DATABASE": "ours"}, "ours"),
    ],
)
def test_the_usual_variable_names_the_database_unless_ours_does(read, environ, wanted):
    assert read('database = "of the file"', **environ).database == wanted


def test_no_repr_shows_the_database(read):
    assert KEY not in repr(read(DATABASE_URL=f"postgresql://me:{KEY}@h/db"))
    assert KEY not in repr(read(REDIS_URL=f"redis://me:{KEY}@h/0"))


# -- secrets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        f'api_key = ["{KEY}"]',
        f'api_secret = {{x = "{KEY}"}}',
        f'api_key = "env:{KEY}"',
        f'base_url = "https://me:{KEY}@a.example/v1"',
        f'base_url = "ftp://me:{KEY}@a.example/v1"',
        f'base_url = "me:{KEY}@a.example/v1"',
        f'base_url = "https://{KEY}@a.example:99999/v1"',
        f'api_key = "{KEY}"\nfallback = ["none"]',
        f'api_key = "{KEY}"\nsilence = "x"',
        f'api_key = "{KEY}"\nmodels = 5',
        f'api_key = "{KEY}',
    ],
)
def test_no_message_shows_a_secret(refusal, lines):
    assert KEY not in refusal(f'[upstreams.a]\nkind = "openai"\n{lines}')


def test_no_repr_shows_a_secret(read):
    lines = "\n".join(f'{name} = "{KEY}"' for name in [*SECRETS, "apikey"])
    settings = read(f'[upstreams.a]\nkind = "openai"\n{lines}')
    assert settings.upstreams[0].extra["api_secret"].reveal() == KEY
    for shown in (repr(settings), str(settings), f"{settings.upstreams}", repr(settings.upstreams[0].api_key)):
        assert KEY not in shown


def test_a_secret_is_false_when_it_is_empty():
    assert not Secret() and Secret("x") and repr(Secret()) == "Secret()"
    assert not UpstreamSettings("a", "openai").api_key


def test_an_unknown_name_in_the_environment_is_an_error():
    with pytest.raises(SettingError, match="MILLSTREAM_GRAEC"):
        load({"MILLSTREAM_GRAEC": "30", "MILLSTREAM_LOCAL_URL": "http://127.0.0.1:1"}, path=Path("/nowhere"))


# -- presets ----------------------------------------------------------------------------------------------------


def test_a_preset_is_read(read):
    text = 'title = "T"\nsystem = "S"\nmodel = "m"\ntemperature = 1\nstop = "x"\nlocked = true'
    first, second = read(f"[presets.sum]\n{text}\n[presets.b]").presets
    assert first == PresetSettings("sum", "T", "S", "m", temperature=1, stop=("x",), locked=True)
    assert second == PresetSettings("b")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            "[presets.none]",
            "presets.'none': a preset's name has up to 40 letters, digits, _, . and -, and is not none",
        ),
        ('[presets."a b"]', "presets.'a b': a preset's name"),
        ("[presets.a]\ndefault = true\n[presets.b]\ndefault = true", "presets.a and presets.b are default; only one"),
        ("[presets.a]\ntitle = 5", "presets.a.title has to be text"),
        ("[presets.a]\nsystem = ['text']", "presets.a.system has to be text"),
        ("[presets.a]\ntemperature = 2.1", "presets.a.temperature is 2.1; it has to be 2 at most"),
        ("[presets.a]\ntop_p = 'x'", "presets.a.top_p is 'x'; it has to be a number"),
        ("[presets.a]\nmax_tokens = 0", "presets.a.max_tokens is 0; it has to be a whole number, 1 or more"),
        ("[presets.a]\nstop = ['']", "presets.a.stop has to be a text or a list of 1 to 4 texts"),
        ("[presets.a]\nprompt = 'x'", "presets.a.prompt is not a setting of a preset"),
        ("[presets.a]\nlocked = 'maybe'", "presets.a.locked is 'maybe'; it has to be 1 or 0"),
    ],
)
def test_a_wrong_preset_is_named(refusal, lines, says):
    assert says in refusal(lines)


def test_a_presets_model_has_to_be_there():
    settings = Settings(upstreams=(UpstreamSettings("demo", "demo"),), presets=(PresetSettings("a", model="none"),))
    with pytest.raises(SettingError, match=r"presets.a.model is 'none', which no upstream has"):
        Router(settings)
