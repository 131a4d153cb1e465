"""Debian's PostgreSQL with a cluster of its own, for as long as the tests run."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.system.nginx import free_port

DEADLINE = 60.0  # s
PASSWORD = "Pg-secret-9d2f"


class Postgres:
    """`with Postgres() as server:` listens on a free port of 127.0.0.1; `database()` makes one, and gives where."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
        assert found, "PostgreSQL is missing; as root, scripts/test installs it"
        self._programs = found[-1].parent
        # It refuses to run as root; Debian's package has made a user for it.
        self._user = "postgres" if os.getuid() == 0 else None
        self.port = free_port()

    def __enter__(self) -> Postgres:
        self._folder = Path(tempfile.mkdtemp(prefix="millstream-pg-"))
        if self._user:
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        self._run("initdb", "-D", f"{self._folder}/data", "-U", "me", "--auth=scram-sha-256", "--no-sync",
                  f"--pwfile={secret}")  # fmt: skip
        options = f"-p {self.port} -h 127.0.0.1 -k {self._folder} -c fsync=off"
        log = f"{self._folder}/log"
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-w", "-l", log, "-o", options, "start")
        return self

    def __exit__(self, *_: object) -> None:
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def address(self, name: str) -> str:
        return f"postgres://me:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def database(self) -> str:
        name = f"ledger_{secrets.token_hex(4)}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def _run(self, program: str, *arguments: str) -> None:
        ran = subprocess.run(
            [self._programs / program, *arguments],
            cwd=self._folder,
            user=self._user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE,
            check=False,
        )
        assert ran.returncode == 0, (program, ran.stdout)
