"""What can be wrong with a database, and what is said then."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from millstream.settings import ROOT, SettingError
from millstream.usage import Ledger, Sum, Unwritable
from tests.system.clients import until
from tests.system.nginx import free_port
from tests.system.server import Server
from tests.usage.samples import row

PASSWORD = "hunter2-very-secret"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (f"nonsense {PASSWORD}", "DATABASE_URL can't be read; it has to be sqlite:///PATH or postgresql://"),
        (f"postgresql://me:{PASSWORD}@h:port/db", "DATABASE_URL can't be read"),
        (f"oracular://me:{PASSWORD}@h/db", "DATABASE_URL is oracular://me:***@h/db; oracular is no database known"),
        (
            f"mysql://me:{PASSWORD}@h/db?password={PASSWORD}",
            "DATABASE_URL is mysql://me:***@h/db, which needs a driver",
        ),
        ("sqlite://", "DATABASE_URL is sqlite: without a file"),
        ("sqlite:///:memory:", "DATABASE_URL is sqlite: without a file"),
    ],
)
def test_a_wrong_address_is_a_sentence_without_the_password(address, says):
    with pytest.raises(SettingError) as refused:
        Ledger(address)
    assert says in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_a_database_that_is_not_there_is_a_sentence_without_the_password():
    address = f"postgresql://me:{PASSWORD}@127.0.0.1:{free_port()}/db?application_name={PASSWORD}"
    with pytest.raises(SettingError, match=r"postgresql://me:\*\*\*@127.0.0.1:.*Connection refused") as refused:
        Ledger(address).check()
    assert PASSWORD not in str(refused.value)


@pytest.mark.system
def test_a_wrong_password_is_a_sentence_without_it(postgres):
    address = postgres.address("postgres").replace("Pg-secret", PASSWORD)
    with pytest.raises(SettingError, match="password authentication failed") as refused:
        Ledger(address).check()
    assert PASSWORD not in str(refused.value)


@pytest.mark.system
def test_two_workers_under_gevent_write_into_postgresql_and_read_from_it(postgres):
    address = postgres.database()
    with Server(workers=2, database=address) as server:
        question = b"prompt=x&model=demo%3Ftokens%3D3%26pace%3D1000"
        for _ in range(8):
            connection = server.connect()
            connection.request("POST", "/chat", question, {"Content-Type": "application/x-www-form-urlencoded"})
            assert connection.getresponse().read()
            connection.close()
        until(lambda: json.loads(server.get("/usage?format=json")[1])["total"]["answers"] == 8)
    assert "Pg-secret" not in server.text()
    assert "Traceback" not in server.text()
    assert Ledger(address).sums(["reason"], "2026-01-01") == [Sum(("stop",), 8, 40, 24, 0, 8, {})]


def test_a_file_that_can_not_be_one_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("x" * 5000)
    for path in (tmp_path / "file" / "usage.db", tmp_path / "file", tmp_path):
        with pytest.raises(SettingError, match="DATABASE_URL is sqlite:///"):
            Ledger(f"sqlite:///{path}").check()


def test_a_relative_path_is_beside_the_application(monkeypatch, tmp_path):
    monkeypatch.setattr("millstream.usage.database.BASE", tmp_path)
    Ledger("sqlite:///instance/usage.db").check()
    assert (tmp_path / "instance" / "usage.db").exists()


def test_nobody_else_can_read_the_file(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path}/new/usage.db")
    ledger.check()
    with sqlite3.connect(tmp_path / "new" / "usage.db") as reader:
        reader.execute("SELECT * FROM usage").fetchall()
        ledger.write([row(1)])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
    reader.close()
    assert set(modes.values()) == {0o600}
    assert {"usage.db", "usage.db-wal"} <= set(modes)


def locker(path: Path) -> subprocess.Popen[bytes]:
    """Another process that holds the database exclusively until its stdin is closed."""
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('BEGIN EXCLUSIVE'); print(flush=True); sys.stdin.read()"
    )
    held = subprocess.Popen([sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert held.stdout.readline() == b"\n"
    return held


def free(held: subprocess.Popen[bytes]) -> None:
    held.communicate(timeout=30)


def test_a_locked_database_is_no_reason_not_to_start_and_takes_the_rows_later(tmp_path, monkeypatch):
    monkeypatch.setattr("millstream.usage.database.PATIENCE", 0.1)
    address = f"sqlite:///{tmp_path}/usage.db"
    Ledger(address).check()
    ledger = Ledger(address)
    held = locker(tmp_path / "usage.db")
    try:
        ledger.check()
        assert ledger.sums(["day"], "2026-01-01") == []  # who reads is not held up
        with pytest.raises(Unwritable, match="locked"):
            ledger.write([row(1)])
    finally:
        free(held)
    ledger.write([row(1)])
    assert len(ledger.sums(["day"], "2026-01-01")) == 1


def test_a_database_that_is_made_while_it_is_locked_is_no_reason_not_to_start(tmp_path, monkeypatch):
    monkeypatch.setattr("millstream.usage.database.PATIENCE", 0.1)
    held = locker(tmp_path / "usage.db")
    try:
        Ledger(f"sqlite:///{tmp_path}/usage.db").check()
    finally:
        free(held)


def test_a_full_disk_is_told_and_loses_nothing_once_there_is_room(tmp_path):
    """In a process of its own, whose files the kernel lets grow no further."""
    program = """
import resource, signal, sys
from millstream.usage import Ledger, Unwritable
from tests.usage.samples import row
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger(sys.argv[1])
ledger.write([row(n) for n in range(100)])
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
rows = [row(n) for n in range(50, 5000)]
try:
    ledger.write(rows)
    print("written")
except Unwritable as error:
    print(error)
print(sum(part.answers for part in ledger.sums(["day"], "2026-01-01")))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
ledger.write(rows)
print(sum(part.answers for part in ledger.sums(["day"], "2026-01-01")))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, f"sqlite:///{tmp_path}/usage.db"], cwd=ROOT, capture_output=True, timeout=60
    )
    says, before, after = ran.stdout.decode().splitlines() or [ran.stderr.decode(), "", ""]
    assert "disk" in says
    assert (before, after) == ("100", "5000")
