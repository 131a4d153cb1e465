"""The way to an upstream: through a proxy, with certificates of one's own."""

import socket
import ssl

import certifi
import pytest

from millstream.settings import Secret, SettingError, UpstreamSettings, load
from millstream.sockets import pool
from millstream.upstreams import outbound
from millstream.upstreams.openai import OpenAI
from tests.upstreams.fake import ANSWER, CALL, CHUNKED, HOLD, PEM, WAIT, failure, whole
from tests.upstreams.proxy import Proxy

PASSWORD = "pass-w0rd"


@pytest.fixture
def proxy():
    made = []

    def make(**options):
        made.append(Proxy(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def through(server, address, **extra):
    if server.address.startswith("https"):
        extra.setdefault("ca_file", str(PEM))
    return OpenAI(server.settings("secret-key-1", extra={"proxy": Secret(address), **extra}))


def text(upstream):
    return "".join(event.text for batch in upstream.stream(CALL) for event in batch)


# -- the proxy -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("password", ["", PASSWORD])
def test_an_answer_through_a_proxy(fake, proxy, tls, password, monkeypatch):
    monkeypatch.setattr(pool, "SETTLE", 0.0)
    server, way = fake(ANSWER, ANSWER, tls=tls), proxy(password=password)
    upstream = through(server, way.address)
    for _ in range(2):
        assert text(upstream) == "Hello"
        assert server.over.acquire(timeout=WAIT)
    port = server.address.split(":")[2].split("/")[0]
    target = f"CONNECT 127.0.0.1:{port}" if tls else f"POST {server.address}/chat/completions"
    assert [line.startswith(target) for line in way.asked] == [True]  # the connection is used again
    assert not tls or b"Proxy-Authorization" not in server.requests[0]


@pytest.mark.parametrize("tls", [False, True])
def test_who_leaves_closes_the_upstream_behind_the_proxy(fake, proxy, tls):
    server = fake([CHUNKED, HOLD], tls=tls)
    stream = through(server, proxy().address).stream(CALL)
    next(stream)
    stream.close()
    assert server.left.wait(WAIT)


@pytest.mark.parametrize("tls", [False, True])
def test_a_proxy_that_wants_a_password_is_named_and_the_password_is_not(fake, proxy, tls):
    way = proxy(password=PASSWORD)
    error = failure(through(fake(tls=tls), f"http://u:wr0ng@127.0.0.1:{way.port}"))
    assert error.code == "upstream_refused"
    assert "407" in error.message
    assert "wr0ng" not in error.message
    assert error.paid is not tls


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1/v1", "https://127.0.0.1:1/v1"])
def test_a_proxy_that_is_away_has_cost_nothing(base_url):
    extra = {"proxy": Secret(f"http://u:{PASSWORD}@127.0.0.1:9")}
    error = failure(OpenAI(UpstreamSettings("x", "openai", base_url=base_url, extra=extra)))
    assert (error.code, error.paid) == ("upstream_refused", False)
    assert "check its proxy" in error.message
    assert PASSWORD not in error.message


@pytest.mark.parametrize("silent", ["proxy", "server"])
def test_a_tunnel_or_a_handshake_that_does_not_come_about_is_late(fake, silent):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        extra = {"proxy": Secret(f"http://{address}")} if silent == "proxy" else {}
        base_url = "https://127.0.0.1:1" if silent == "proxy" else f"https://{address}"
        error = failure(OpenAI(UpstreamSettings("x", "openai", base_url=base_url, connect=0.2, extra=extra)))
    assert (error.code, error.paid, error.status) == ("connect_timeout", False, 504)


def test_a_redirect_is_refused(fake):
    server = fake(whole("307 Temporary Redirect", b"", "Location: http://127.0.0.1:9/v1/chat/completions"))
    error = failure(OpenAI(server.settings()))
    assert (error.code, error.paid) == ("upstream_refused", True)
    assert "redirects to http://127.0.0.1:9" in error.message


# -- certificates ----------------------------------------------------------------------------------------------

# Its passphrase is "abcd", and it opens nothing.
LOCKED = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHrMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAgZHZcQ9DeLAwIBATAM
BggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQ7HcvcfIgzw3Dn5e4fwo/HASBkAIE
z49oOC6Tm60OAe5DVmLj7/SnqUaYhzeCn0xMqI/9DAv43iUZ/mtbevdUxiYqSgLd
h0M+6AxnOxYoIPR92XNA0KaJ3gkvJtkk0qtv+hyXouZqXmGnc4mpymgbpJ0JAMVc
nkN8p3BxUQy2mTv8IpMxvOTcn5+KFFDzJZo3ZovB2vlRiXQNf7Th+a/LE2gBHg==
-----END ENCRYPTED PRIVATE KEY-----
"""
BEGIN = "-----BEGIN PRIVATE KEY-----"


@pytest.fixture
def certificates(tmp_path):
    """client.pem and client.key, both.pem with the two in it; locked.key with a passphrase."""
    certificate, begin, key = PEM.read_text().partition(BEGIN)
    (tmp_path / "client.pem").write_text(certificate)
    (tmp_path / "client.key").write_text(begin + key)
    (tmp_path / "both.pem").write_text(certificate + begin + key)
    (tmp_path / "locked.key").write_text(LOCKED)
    return tmp_path


@pytest.fixture
def mutual(fake, certificates):
    """A server that takes the client's certificate only."""
    server = fake(ANSWER, tls=True)
    server._context.load_verify_locations(certificates / "client.pem")
    server._context.verify_mode = ssl.CERT_REQUIRED
    return server


@pytest.mark.parametrize("files", [("client.pem", "client.key"), ("both.pem", "")])
@pytest.mark.parametrize("proxied", [False, True])
def test_a_client_certificate_is_shown(mutual, certificates, proxy, files, proxied):
    names = {"client_cert": files[0], "client_key": files[1]}
    extra = {name: str(certificates / file) for name, file in names.items() if file}
    if proxied:
        extra["proxy"] = Secret(proxy().address)
    assert text(OpenAI(mutual.settings(extra={"ca_file": str(PEM), **extra}))) == "Hello"


def test_without_a_client_certificate_it_is_refused(mutual):
    assert failure(OpenAI(mutual.settings())).code in ("upstream_refused", "upstream_broke")


def test_certifis_certificates_are_read_once_for_all_and_not_without_tls(monkeypatch):
    made = []

    def make(cafile):
        made.append(cafile)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr(ssl, "create_default_context", make)
    outbound._usual_context.cache_clear()
    for scheme, extra in (("http", {}), ("https", {}), ("wss", {}), ("https", {"ca_file": str(PEM)})):
        address = f"{scheme}://127.0.0.1:1"
        outbound.connector(UpstreamSettings("x", "openai", base_url=address, extra=extra), address)
    outbound._usual_context.cache_clear()
    assert made == [certifi.where(), str(PEM)]


# -- wrong settings --------------------------------------------------------------------------------------------

WRONG = {
    "no such CA file": ({"ca_file": "/nowhere.pem"}, "ca_file is '/nowhere.pem'"),
    "a CA file that is none": ({"ca_file": __file__}, "ca_file"),
    "a CA file that is a number": ({"ca_file": 1.5}, "ca_file"),
    "no such certificate": ({"client_cert": "/nowhere.pem"}, "client_cert is '/nowhere.pem'"),
    "a certificate without its key": ({"client_cert": "{}/client.pem"}, "client_cert"),
    "a key without its certificate": ({"client_key": "{}/client.key"}, "client_key needs"),
    "a key with a passphrase": (
        {"client_cert": "{}/client.pem", "client_key": "{}/locked.key"},
        "with no passphrase",
    ),
    "a key that is none": ({"client_cert": "{}/client.pem", "client_key": __file__}, "client_key"),
    "no address of a proxy": ({"proxy": Secret(PASSWORD)}, r"proxy has to be an address"),
    "a proxy of another kind": ({"proxy": Secret(f"socks5://u:{PASSWORD}@127.0.0.1:1")}, "proxy has to be"),
    "a port that is none": ({"proxy": Secret(f"http://u:{PASSWORD}@127.0.0.1:x")}, "proxy has to be"),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("extra", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_stops_the_start_and_is_named(certificates, extra, says, scheme):
    extra = {key: value.format(certificates) if isinstance(value, str) else value for key, value in extra.items()}
    with pytest.raises(SettingError, match=says) as caught:
        OpenAI(UpstreamSettings("x", "openai", base_url=f"{scheme}://127.0.0.1:1", extra=extra))
    assert PASSWORD not in str(caught.value)
    assert "upstreams.x" in str(caught.value)


def test_the_proxys_address_is_a_secret_and_retries_are_a_number(tmp_path):
    file = tmp_path / "millstream.toml"
    table = f'[upstreams.x]\nkind = "openai"\nbase_url = "http://a"\nproxy = "http://u:{PASSWORD}@p:1"\n'
    file.write_text(table + "retries = 0\n")
    upstream = load({}, file).upstreams[0]
    assert PASSWORD not in repr(upstream)
    assert PASSWORD not in repr(dict(upstream.extra))
    assert upstream.retries == 0
    file.write_text(table + 'retries = "often"\n')
    with pytest.raises(SettingError, match="retries is 'often'"):
        load({}, file)
