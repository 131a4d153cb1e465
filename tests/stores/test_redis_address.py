"""Addresses that Redis may have, and what is said of wrong ones before anything is started."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import gevent
import pytest

from millstream.limits.table import open_storage
from millstream.settings import SettingError
from millstream.stores.redis.address import Address
from millstream.stores.table import open_store
from tests.stores.conftest import Workers
from tests.stores.samples import ID, TTL, log, message, meta
from tests.system.nginx import certificate, free_port
from tests.system.redis_server import RedisServer

pytestmark = pytest.mark.system


class Closed(RedisServer):
    """With a password, hunter2, and `ways` in: over TLS, and by a socket of this machine."""

    def __enter__(self) -> Closed:
        self._kept = TemporaryDirectory()
        folder = Path(self._kept.name)
        certificate(folder)
        tls = free_port()
        self._options += ["--requirepass", "hunter2", "--unixsocket", f"{folder}/socket", "--tls-port", str(tls)]
        self._options += ["--tls-cert-file", f"{folder}/fullchain.pem", "--tls-key-file", f"{folder}/privkey.pem"]
        self._options += ["--tls-auth-clients", "no"]
        super().__enter__()
        self.url = f"redis://:hunter2@127.0.0.1:{self.port}/0"
        self.ways = {"port": self.port, "tls": tls, "socket": f"{folder}/socket", "ca": f"{folder}/fullchain.pem"}
        return self

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
        self._kept.cleanup()


@pytest.fixture(scope="module")
def server() -> Iterator[Closed]:
    with Closed() as server:
        yield server


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@127.0.0.1:{port}/1",
        "redis://default:hunter2@127.0.0.1:{port}",
        "rediss://:hunter2@127.0.0.1:{tls}/1?ssl_ca_certs={ca}",
        "unix://:hunter2@{socket}?db=1",
    ],
)
def test_it_is_found_there(server, url):
    Address(url.format(**server.ways)).check()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://:wrong-hunter2@127.0.0.1:{port}/0", "refuses us .*; check user, password"),
        ("redis://127.0.0.1:{port}/0", "wants a password .*; put it into its address"),
        ("unix://{socket}", "wants a password .*; put it into its address"),
        ("redis://:hunter2@127.0.0.1:{port}/99", "refuses us .*database"),
        ("redis://:hunter2@127.0.0.1:{port}/0/0", "wrong database; it has to look like redis://:PASSWORD@HOST"),
        ("rediss://:hunter2@127.0.0.1:{tls}/0", "can't be trusted, .*self-signed certificate.*ssl_ca_certs="),
        ("rediss://:hunter2@127.0.0.1:{tls}/0?ssl_ca_certs={ca}.pem", "fullchain.pem.pem: there is no such file"),
        ("unix://:hunter2@", "no host"),
    ],
)
def test_an_address_that_no_waiting_mends_is_refused_with_a_sentence(server, url, says):
    with pytest.raises(SettingError, match=says) as refused:
        Address(url.format(**server.ways)).check()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["redis://:hunter2@127.0.0.1:{port}/1", "unix://:hunter2@{socket}?db=1"])
def test_an_answer_that_came_while_this_process_was_busy_is_not_late(server, url, monkeypatch):
    monkeypatch.setattr("millstream.stores.redis.address.LIMIT", 0.3)
    connection = Address(url.format(**server.ways)).connect()
    connection.send_command("BLPOP", "nothing", 0.1)  # answered after 0.1 s
    reading = gevent.spawn(connection.read_response)
    gevent.spawn(time.sleep, 0.5)  # no other greenlet runs meanwhile
    assert reading.get() is None
    connection.disconnect()


def test_workers_share_streams_and_limits_whichever_way_they_came(server):
    urls = ["redis://:hunter2@127.0.0.1:{port}/1", "unix://:hunter2@{socket}?db=1"]
    workers = Workers([open_store(url.format(**server.ways), ttl=TTL, workers=2) for url in urls])
    workers.one.create(meta(workers.one))
    workers.one.append(ID, [message(1)])
    assert log(workers.two) == [message(1)]
    workers.close()
    counting = [open_storage(url.format(**server.ways)) for url in urls]
    assert [storage.run(lambda storage=storage: storage.incr("a", 60)) for storage in counting] == [1, 2]
    for storage in counting:
        storage.close()
