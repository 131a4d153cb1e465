"""Follow a stream of marks through the proxy, like a browser or a program, and note when each mark arrives."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from urllib.parse import urlsplit

from millstream.doctor.marks import MARK, Plan
from millstream.formats.json import Json
from millstream.formats.table import FORMATS

ECHO = "Millstream-Doctor"  # asks the server to tell, under the same name, what of the request reached it
VISIBLE = re.compile("[!-~]*")  # characters of ASCII
ENCODINGS = "gzip, deflate, br"  # what browsers ask for
PATIENCE = 10.0  # s beyond the last mark
READ = 65536  # bytes
MOST = 1 << 20  # bytes of a body; a thousand marks have some 100,000
LONGEST_MARK = 20  # bytes
QUIET = 0.7  # s: then nothing is on its way any more
POLL = 5  # s that a long poll waits
TIMES = "%{stderr}\n%{time_total} %{time_pretransfer}"  # curl's last line: s in all, and until it asked


@dataclass(frozen=True)
class Target:
    """The public address, without a slash at its end, and how to get in. Raises ValueError with the reason."""

    url: str
    key: str = ""
    insecure: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        # Both are written into request lines and curl's configuration: no line breaks.
        if parts.scheme not in ("http", "https") or not parts.hostname or not VISIBLE.fullmatch(self.url):
            raise ValueError("give the address that browsers use, such as https://chat.example.org")
        if not VISIBLE.fullmatch(self.key):
            raise ValueError("the access key has spaces, lines or characters in it that no key can have")

    def headers(self, format: str, id: str) -> dict[str, str]:
        found = {
            "Accept": FORMATS[format].MEDIA_TYPE,
            "Accept-Encoding": ENCODINGS,
            "User-Agent": "Millstream-Doctor",
            "Idempotency-Key": id,
            ECHO: format,
        }
        if format != Json.NAME:  # its position is in the address
            found["Last-Event-ID"] = f"{id}.0"
        return found | ({"Authorization": f"Bearer {self.key}"} if self.key else {})


@dataclass
class Probe:
    """The observations of one client. Times are in seconds after the start of the marks' stream."""

    plan: Plan
    format: str
    version: str  # of HTTP, as asked: 1.0, 1.1, 2
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""
    marks: dict[int, float] = field(default_factory=dict)
    ended: float = 0.0
    whole: bool = False
    error: str = ""
    asked: float = 0.0  # when the request went out: on a busy machine some marks were due before
    probed: float | None = None  # s until the proxy's socket asks whether we are there, where that can be seen

    @property
    def name(self) -> str:
        return f"idle {self.format}" if self.plan.silence else self.format


def named(probes: Iterable[Probe]) -> str:
    """The ways in words: `text, sse over HTTP/1.1; text over HTTP/2`."""
    ways: dict[str, dict[str, None]] = {}
    for probe in probes:
        ways.setdefault(probe.version, {})[probe.name] = None
    return "; ".join(f"{', '.join(names)} over HTTP/{version}" for version, names in ways.items())


Look = Callable[[socket.socket], float | None]


class Clock:
    """Reads what comes and notes when each mark did."""

    def __init__(self, probe: Probe, begun: float) -> None:
        self.probe = probe
        self._begun = begun
        self._limit = probe.plan.due(probe.plan.last()) + PATIENCE
        self._seen = 0  # bytes that have been looked through
        self._inflate = None if _encoding(probe) not in ("gzip", "deflate") else zlib.decompressobj(32 + 15)

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises ValueError if a line never ends, because then it is not our answer."""
        now = time.monotonic() - self._begun
        try:
            self.probe.body += self._inflate.decompress(data, MOST) if self._inflate else data
        except zlib.error:
            self._inflate = None
        for match in MARK.finditer(self.probe.body, max(0, self._seen - LONGEST_MARK)):
            self.probe.marks.setdefault(int(match[1]), now)
        self._seen = len(self.probe.body)
        if self._seen >= MOST:
            raise ValueError(f"the answer is longer than {MOST} bytes: something else than Millstream sends it")
        if now > self._limit:
            raise ValueError(f"the answer has not ended after {now:.0f} s: something else than Millstream sends it")


def _encoding(probe: Probe) -> str:
    return probe.headers.get("content-encoding", "identity").lower()


def follow(probe: Probe, target: Target, id: str, begun: float, look: Look | None = None) -> None:
    """Follows to the end, or until the marks are long over. `look` is shown the connection in the
    midst of the silence. Never raises."""
    plan, format, version = probe.plan, probe.format, probe.version
    limit = plan.due(plan.last()) + PATIENCE
    run = _by_curl if version == "2" else _by_polls if format == Json.NAME else _by_socket
    try:
        run(probe, target, id, begun, limit, look)
    except (OSError, http.client.HTTPException, ValueError) as error:
        probe.error = probe.error or f"{type(error).__name__}: {error}".rstrip(": ")
    probe.ended = time.monotonic() - begun
    probe.whole = probe.whole and (plan.last() in probe.marks or _encoding(probe) == "br")


def connect(target: Target, limit: float) -> socket.socket:
    parts = urlsplit(target.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    sock = socket.create_connection((parts.hostname or "", port), PATIENCE)
    sock.settimeout(limit)
    if parts.scheme != "https":
        return sock
    context = ssl.create_default_context()
    if target.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(sock, server_hostname=parts.hostname)


def _by_socket(probe: Probe, target: Target, id: str, begun: float, limit: float, look: Look | None) -> None:
    with closing(connect(target, limit)) as sock:
        probe.asked = time.monotonic() - begun
        response = _ask(sock, probe, target, id)
        clock = Clock(probe, begun)
        if look is not None:
            timer = threading.Timer(probe.plan.due(probe.plan.number - 1) + QUIET, _look, (look, sock, probe))
            timer.daemon = True
            timer.start()
        while data := response.read1(READ):
            clock.feed(data)
        probe.whole = True


def _look(look: Look, sock: socket.socket, probe: Probe) -> None:
    with suppress(OSError):  # it is closed
        probe.probed = look(sock)


def _by_polls(probe: Probe, target: Target, id: str, begun: float, limit: float, look: Look | None) -> None:
    """Follow by long polling: one request after the other, and each waits for news."""
    after, status = 0, "running"
    while status in ("pending", "running") and time.monotonic() - begun < limit:
        with closing(connect(target, limit)) as sock:
            response = _ask(sock, probe, target, id, f"?after={after}&wait={POLL}")
            clock = Clock(probe, begun)
            told = len(probe.body)
            while data := response.read1(READ):
                clock.feed(data)
        if probe.status != 200:
            return
        document = json.loads(probe.body[told:])
        after, status = document["last"], document["status"]
    probe.whole = status == "done"


def _ask(sock: socket.socket, probe: Probe, target: Target, id: str, query: str = "") -> http.client.HTTPResponse:
    parts = urlsplit(target.url)
    host = parts.netloc.rpartition("@")[2]
    lines = [f"GET {parts.path}/streams/{id}{query} HTTP/{probe.version}", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in target.headers(probe.format, id).items()]
    sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    response = http.client.HTTPResponse(sock)
    response.begin()
    probe.status = response.status
    probe.headers = {name.lower(): value for name, value in response.getheaders()}
    return response


@cache
def curl() -> str:
    """The path of a curl that has HTTP/2, for which Python has nothing of its own; "" if there is none."""
    path = shutil.which("curl") or ""
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout if path else ""
    return path if "HTTP2" in said.split() else ""


def _by_curl(probe: Probe, target: Target, id: str, begun: float, limit: float, look: Look | None) -> None:
    command = [curl(), "--http2", "--silent", "--show-error", "--no-buffer", "--include", "--write-out", TIMES]
    command += ["--max-time", f"{limit:g}", "--config", "-", *["--insecure"] * target.insecure]
    # --config keeps the key out of the command line, which every user of the machine can read.
    settings = [("header", f"{name}: {value}") for name, value in target.headers(probe.format, id).items()]
    settings.append(("url", f"{target.url}/streams/{id}"))
    config = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings)  # curl's quotes are like JSON's
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(config.encode())
        process.stdin.close()
        clock: Clock | None = None
        head = b""
        for data in iter(partial(process.stdout.read, READ), b""):
            if clock is None:
                head += data
                block, end, data = head.partition(b"\r\n\r\n")
                if not end:
                    continue
                _read_head(probe, block.decode("latin-1"))
                clock = Clock(probe, begun)
            clock.feed(data)
        ended = time.monotonic() - begun
        *said, times = process.stderr.read().decode(errors="replace").splitlines() or [""]
    with suppress(ValueError):  # it did not get so far
        whole, before = (float(seconds) for seconds in times.split())
        probe.asked = ended - whole + before
    probe.whole = process.returncode == 0
    if process.returncode:
        probe.error = "\n".join(said).strip()


def _read_head(probe: Probe, block: str) -> None:
    first, *lines = block.split("\r\n")
    probe.version = first.split()[0].removeprefix("HTTP/")
    probe.status = int(first.split()[1])
    probe.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
