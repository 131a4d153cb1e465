"""deploy/: as far as it can be tried with no container engine and no systemd running."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml

from millstream.doctor import kernel
from millstream.doctor.advice import ADVICE
from millstream.settings import Settings
from tests.system.dockerfile import Image, copied
from tests.system.nginx import NGINX, Nginx, free_port

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
IN_PLACE = "/srv/millstream"
DEADLINE = 60.0  # s


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE, **options)


def compose(name: str = "compose.yaml") -> dict[str, object]:
    """As docker-compose reads it."""
    done = run("docker-compose", "-f", str(DEPLOY / name), "config")
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


def test_the_dockerfile_has_nothing_that_hadolint_minds() -> None:
    done = run(str(Path(sys.executable).with_name("hadolint")), str(DEPLOY / "Dockerfile"))
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_let_into_the_image_and_nothing_else() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == {source for source, _ in copied(DOCKERFILE)}


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    place = Path(tempfile.mkdtemp(prefix="millstream-image-"))
    place.chmod(0o755)
    try:
        yield Image(DOCKERFILE, ROOT, place)
    finally:
        shutil.rmtree(place)


@pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("CI"), reason="only root adds users")
def test_the_image_has_what_it_needs_and_serves_as_its_own_user(image: Image, tmp_path: Path) -> None:
    assert f":x:{image.uid}:" in image.passwd.read_text("utf-8")
    options = {"cwd": image.folder, "user": image.uid, "group": image.uid, "extra_groups": []}
    environ = {**image.environ, "HOST": "127.0.0.1", "PORT": str(free_port())}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(image.command, env=environ, stdout=log, stderr=log, **options)
    try:
        until = time.monotonic() + DEADLINE
        while (done := run(*image.check, env=environ, **options)).returncode and time.monotonic() < until:
            assert server.poll() is None, (tmp_path / "log").read_text()
        assert done.returncode == 0, done.stderr
        for path, body in (
            ("/", None),
            ("/static/millstream.js", None),
            ("/chat", b"prompt=x&model=demo%3Fpace%3D1000"),
        ):
            with urlopen(f"http://127.0.0.1:{environ['PORT']}{path}", body, DEADLINE) as response:
                assert len(response.read()) > 100
        command = [image.command[0], "-m", "millstream", "keys", "add", "anna"]  # as docker exec runs it
        key = run(*command, env=environ, **options).stdout.strip()
        assert key.startswith("ms-")
        until = time.monotonic() + DEADLINE
        while status(environ["PORT"]) != 401:
            assert time.monotonic() < until
        assert status(environ["PORT"], key) == 200
        owned = {path.relative_to(image.folder).parts[0] for path in image.folder.rglob("*") if path.stat().st_uid}
        assert owned == {"instance"}
    finally:
        server.terminate()
        server.wait(DEADLINE)
    assert (tmp_path / "log").read_text().count("Traceback") == 0
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        environ["PORT"] = str(nobody.getsockname()[1])
        assert run(*image.check, env=environ, **options).returncode != 0  # a check that can't fail finds nothing


def status(port: str, key: str = "") -> int:
    request = Request(f"http://127.0.0.1:{port}/v1/models", headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urlopen(request, timeout=DEADLINE) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


@pytest.mark.parametrize("name", ["compose.yaml", "compose.one.yaml"])
def test_a_composition_serves_whoever_has_a_key_and_keeps_all_in_a_volume(name: str) -> None:
    for service in compose(name)["services"].values():
        if service.get("image") != "millstream":
            continue
        assert "MILLSTREAM_OPEN" not in service.get("environment", {})
        (volume,) = service["volumes"]
        assert f"{IN_PLACE}/instance" in str(volume)
        assert all("127.0.0.1" in str(port) for port in service.get("ports", []))
    folder = re.search(r"^ENV CONFIGURATION_DIRECTORY=(\S+)", DOCKERFILE, re.M)
    assert folder and folder[1] == f"{IN_PLACE}/instance"
    assert f'VOLUME ["{folder[1]}"]' in DOCKERFILE


def test_docker_compose_takes_the_file() -> None:
    services = compose()["services"]
    assert set(services) == {"one", "two", "nginx", "redis"}
    known = {f"MILLSTREAM_{name.upper()}" for name in Settings.__dataclass_fields__} | {"MILLSTREAM_CONFIG"}
    for name in ("one", "two"):
        assert {key for key in services[name]["environment"] if key.startswith("MILLSTREAM_")} <= known
    for service in services.values():
        for volume in service.get("volumes", []):
            source = str(volume).split(":")[0]
            assert not source.startswith("/") or Path(source).exists()


def test_nginx_takes_the_file_that_the_composition_makes_for_it() -> None:
    (script,) = (word for word in compose()["services"]["nginx"]["command"] if "sed" in word)
    replaced = re.findall(r"-e 's/(.*?)/(.*?)/'", script)
    assert len(replaced) == 2
    with Nginx(free_port()) as nginx:
        text = (ROOT / "nginx.conf").read_text("utf-8")
        for old, new in replaced:
            assert re.search(old, text, re.M)
            text = re.sub(old, new, text, flags=re.M)
        assert "server one:8000; server two:8000;" in text
        text = text.replace("one:8000", "127.0.0.1:1").replace("two:8000", "127.0.0.1:2")
        text = text.replace("user nginx;", "")
        for place in ("/var/lib/nginx/", "/var/log/nginx/", "/run/"):
            text = text.replace(place, f"{nginx.folder}/")
        (nginx.folder / "composed.conf").write_text(text, "utf-8")
        done = run(NGINX, "-t", "-p", str(nginx.folder), "-c", str(nginx.folder / "composed.conf"))
    assert "test is successful" in done.stderr, done.stderr


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with this project's folder for the one it expects."""
    text = (DEPLOY / "millstream.service").read_text("utf-8")
    unit = tmp_path / "millstream.service"
    python = Path(sys.executable)
    unit.write_text(text.replace(f"{IN_PLACE}/.venv/bin/python", str(python)).replace(IN_PLACE, str(ROOT)), "utf-8")
    return unit


def test_systemd_takes_the_unit(unit: Path) -> None:
    done = run("systemd-analyze", "verify", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_the_unit_well_closed() -> None:
    options = ("--offline=true", "--threshold=20")  # of 100
    done = run("systemd-analyze", "security", *options, str(DEPLOY / "millstream.service"))
    assert done.returncode == 0, done.stdout[-500:]


def test_whoever_stops_a_worker_waits_longer_than_it_drains() -> None:
    limits = [
        re.search(r"TimeoutStopSec=(\d+)", (DEPLOY / "millstream.service").read_text("utf-8")),
        re.search(r"stop_grace_period: (\d+)s", (DEPLOY / "compose.yaml").read_text("utf-8")),
    ]
    assert all(found and int(found[1]) > Settings().graceful_timeout for found in limits)


def test_the_kernels_lines_are_those_that_the_doctor_wants() -> None:
    text = (DEPLOY / "60-millstream.conf").read_text("utf-8")
    lines = dict(re.findall(r"^(net\.\S+) = (\d+)$", text, re.M))
    assert f"net.ipv4.tcp_retries2 = {lines['net.ipv4.tcp_retries2']}" in ADVICE["vanished"][""]
    assert int(lines["net.ipv4.tcp_retries2"]) <= kernel.ENOUGH
    for name in lines:
        assert Path("/proc/sys", *name.split(".")).exists() or os.uname().sysname != "Linux"
