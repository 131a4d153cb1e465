"""Clients that come back until the answer has ended, one for each format: they ask with an Idempotency-Key as long
as they know of no stream, and then go on where they were cut."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from http.client import HTTPConnection, HTTPException, HTTPResponse, RemoteDisconnected
from io import BytesIO
from typing import Any, ClassVar
from urllib.parse import urlencode

DEADLINE = 60.0  # s


class Response(HTTPResponse):
    """http.client takes a head that was cut for a whole one, and half of a Content-Length for a length."""

    def begin(self) -> None:
        stream, head = self.fp, b""
        while not head.endswith(b"\r\n\r\n"):
            if not (line := stream.readline()):
                raise RemoteDisconnected(f"the head was cut: {head!r}")
            head += line
        self.fp = BytesIO(head)
        super().begin()
        self.fp = stream


def connect(port: int) -> HTTPConnection:
    connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.response_class = Response
    return connection


class Client:
    """`run` it; then `text` is the answer's, `failure` the code or status of its failure, "" if there was none, and
    `events` are what the client saw, as (number, type, text), for those formats that have events."""

    ACCEPT: ClassVar[str]
    NUMBERED: ClassVar[bool] = True  # its events are the log's, with their numbers

    def __init__(self, port: int, prompt: str, model: str = "emulated", key: str = "") -> None:
        self.port = port
        self.question = {"prompt": prompt, "model": model}
        self.key = key or secrets.token_hex(8)
        self.id = ""
        self.events: list[tuple[int, str, str]] = []
        self.failure = ""
        self.ended = False
        self.connections = 0

    def run(self) -> Client:
        until = time.monotonic() + DEADLINE
        while not self.ended:
            assert time.monotonic() < until, f"no end after {self.connections} connections: {self.events[-3:]}"
            self.once()
        return self

    def start(self) -> Client:
        """Runs in a thread; `wait` for its end."""
        self._running = in_thread(self.run)
        return self

    def wait(self) -> Client:
        return self._running.result(DEADLINE)

    @property
    def over(self) -> bool:
        """Return True if `wait` would return at once."""
        return self._running.done()

    def open(self) -> HTTPConnection:
        """A connection for the next request; a test may put another function here."""
        return connect(self.port)

    @property
    def last(self) -> int:
        return self.events[-1][0] if self.events else 0

    @property
    def text(self) -> str:
        return "".join(text for _, kind, text in self.events if kind == "message")

    def once(self) -> None:
        """Use one connection until it ends."""
        self.connections += 1
        connection = self.open()
        try:
            response = self._resume(connection) if self.id else self._ask(connection)
            self._read(response)
        except TimeoutError:
            raise
        except (OSError, HTTPException):
            pass  # it was cut: come back
        finally:
            connection.close()

    def _ask(self, connection: HTTPConnection) -> HTTPResponse:
        return self._post(connection, "/chat")

    def _post(self, connection: HTTPConnection, path: str, status: int = 200) -> HTTPResponse:
        headers = {"Accept": self.ACCEPT, "Content-Type": "application/json", "Idempotency-Key": self.key}
        connection.request("POST", path, json.dumps(self.question), headers)
        return _expect(connection.getresponse(), status)

    def _get(self, connection: HTTPConnection, query: str = "", **headers: str) -> HTTPResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", f"/streams/{self.id}{query}", headers={"Accept": self.ACCEPT, **sent})
        return connection.getresponse()

    def _resume(self, connection: HTTPConnection) -> HTTPResponse:
        raise NotImplementedError

    def _read(self, response: HTTPResponse) -> None:
        raise NotImplementedError

    def _saw(self, n: int, kind: str, data: dict[str, Any]) -> None:
        self.events.append((n, kind, data.get("text", "")))
        if kind in ("done", "failed"):
            self.ended = True
            self.failure = data["error"]["code"] if kind == "failed" else ""


class Sse(Client):
    """A client that parses like EventSource: it drops an event without a blank line after it."""

    ACCEPT = "text/event-stream"

    def _resume(self, connection: HTTPConnection) -> HTTPResponse:
        return _expect(self._get(connection, Last_Event_ID=f"{self.id}.{self.last}"))

    def _read(self, response: HTTPResponse) -> None:
        rest = b""
        while data := response.read1(65536):
            *blocks, rest = (rest + data).split(b"\n\n")
            for block in blocks:
                self._hear(block.decode())

    def _hear(self, block: str) -> None:
        pairs = (line.partition(": ") for line in block.split("\n") if not line.startswith(":"))
        fields = {name: value for name, _, value in pairs}
        if "data" not in fields:
            return
        data = json.loads(fields["data"])
        id, n = fields["id"].rsplit(".", 1)
        kind = fields.get("event", "message")
        if kind == "start":
            assert (data["id"], int(n)) == (id, self.last)
            self.id = id
        else:
            self._saw(int(n), kind, data)


class EventSource(Sse):
    """A client like a browser's EventSource: it reconnects to one address, with no header but Last-Event-ID."""

    def _ask(self, connection: HTTPConnection) -> HTTPResponse:
        path = "/chat?" + urlencode({**self.question, "idempotency_key": self.key})
        last = {"Last-Event-ID": f"{self.id}.{self.last}"} if self.id else {}
        connection.request("GET", path, headers={"Accept": self.ACCEPT, **last})
        return _expect(connection.getresponse())

    _resume = _ask


class Ndjson(Client):
    ACCEPT = "application/x-ndjson"

    def _resume(self, connection: HTTPConnection) -> HTTPResponse:
        return _expect(self._get(connection, f"?after={self.last}"))

    def _read(self, response: HTTPResponse) -> None:
        rest = b""
        while data := response.read1(65536):
            *lines, rest = (rest + data).split(b"\n")
            for line in filter(None, lines):
                value = json.loads(line)
                if value["type"] == "start":
                    self.id = value["id"]
                else:
                    self._saw(value["n"], value["type"], value)


class Responses(Sse):
    """OpenAI's, in background: it resumes by `starting_after`. Its own numbers count its own events."""

    NUMBERED = False

    def _ask(self, connection: HTTPConnection) -> HTTPResponse:
        question = {
            "model": self.question["model"],
            "input": self.question["prompt"],
            "background": True,
            "stream": True,
        }
        headers = {"Content-Type": "application/json", "Idempotency-Key": self.key}
        connection.request("POST", "/v1/responses", json.dumps(question), headers)
        return _expect(connection.getresponse())

    def _resume(self, connection: HTTPConnection) -> HTTPResponse:
        connection.request("GET", f"/v1/responses/resp_{self.id}?stream=true&starting_after={self.last}")
        return _expect(connection.getresponse())

    def _hear(self, block: str) -> None:
        if block.startswith(":"):
            return
        data = json.loads(block.partition("\ndata: ")[2])
        if data["type"] == "keepalive":
            return
        number = data["sequence_number"]
        if not self.id:
            self.id = data["response"]["id"].removeprefix("resp_")
        elif number == 0:
            return  # the same answer, from its start: its id came before the cut
        assert number == (self.last + 1 if self.events else 0), (number, self.events[-3:])
        self.events.append((number, "message" if "delta" in data else data["type"], data.get("delta", "")))
        self.ended = data["type"] in ("response.completed", "response.failed")
        self.failure = data["code"] if data["type"] == "error" else self.failure


class Chat(Sse):
    """The AI SDK's useChat, which begins anew with each resume, and puts what comes in the place of what it has."""

    NUMBERED = False
    gone = False

    def _ask(self, connection: HTTPConnection) -> HTTPResponse:
        said = [{"role": "user", "parts": [{"type": "text", "text": self.question["prompt"]}]}]
        question = {"id": self.key, "messages": said, "model": self.question["model"], "trigger": "submit-message"}
        connection.request("POST", "/ui/chat", json.dumps(question), {"Content-Type": "application/json"})
        return _expect(connection.getresponse())

    def once(self) -> None:
        """Connect once. Only a resume shows whether the question has arrived."""
        self.id = self.key if self.connections and not self.gone else ""
        self.gone = False
        super().once()

    def _resume(self, connection: HTTPConnection) -> HTTPResponse:
        connection.request("GET", f"/ui/chat/{self.key}/stream")
        response = connection.getresponse()
        if response.status != 204:
            return _expect(response)
        self.gone = True  # or it never came to be: the same question again finds its answer, if it has one
        return response

    def _hear(self, block: str) -> None:
        if block.startswith(":") or block == "data: [DONE]":
            return
        data = json.loads(block.removeprefix("data: "))
        if data["type"] == "start":
            self.message = getattr(self, "message", data["messageId"])
            assert data["messageId"] == self.message
            self.events = []
        kind = "message" if data["type"] == "text-delta" else data["type"]
        self.events.append((len(self.events), kind, data.get("delta", "")))
        self.ended = kind in ("finish", "error")
        if self.ended:
            self.id = self.message.removeprefix("msg_")
        self.failure = "failed" if kind == "error" else ""


class Polling(Client):
    """Starts with POST /streams and asks for what is new, again and again."""

    ACCEPT = "application/json"

    def _ask(self, connection: HTTPConnection) -> HTTPResponse:
        return self._post(connection, "/streams", 201)

    def _resume(self, connection: HTTPConnection) -> HTTPResponse:
        return _expect(self._get(connection, f"?after={self.last}&wait=20"))

    def _read(self, response: HTTPResponse) -> None:
        value = json.loads(response.read())
        self.id = value["id"]
        for event in value.get("events", []):
            self._saw(event["n"], event["type"], event)
        if self.events:
            ended = {"done": "done", "failed": "failed"}.get(self.events[-1][1], "running")
            assert (value["status"], value["last"]) == (ended, self.last)


class Waiting(Client):
    """Waits for the whole answer in one JSON object."""

    ACCEPT = "application/json"

    def _read(self, response: HTTPResponse) -> None:
        value = json.loads(response.read())
        if "error" in value:  # behind the white space that a long wait begins with
            self.ended, self.failure = True, value["error"]["code"]
            return
        self.id = value["id"]
        self._saw(1, "message", value)
        self._saw(2, "done", {})


class Text(Client):
    """Counts bytes. Every other time it asks with Range, as `curl -C -`, else with `offset`."""

    ACCEPT = "text/plain"
    NUMBERED = False

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.body = b""

    @property
    def text(self) -> str:
        return self.body.decode()

    def _resume(self, connection: HTTPConnection) -> HTTPResponse:
        if self.connections % 2:
            return self._get(connection, f"?offset={len(self.body)}")
        response = self._get(connection, Range=f"bytes={len(self.body)}-")
        if response.status == 206:
            assert response.headers["Content-Range"].startswith(f"bytes {len(self.body)}-")
        return response

    def _read(self, response: HTTPResponse) -> None:
        if response.status == 416:
            assert response.headers["Content-Range"] == f"bytes */{len(self.body)}"
        elif response.status >= 500:
            self.failure = str(response.status)
        else:
            assert response.status in (200, 206), response.read()
            self.id = response.headers["Content-Location"].rpartition("/")[2] if not self.id else self.id
            while data := response.read1(65536):
                self.body += data
        self.ended = True


class Html(Client):
    """A client like a browser without scripts whose user reloads the page. `body` is the last page."""

    ACCEPT = "text/html"

    def _resume(self, connection: HTTPConnection) -> HTTPResponse:
        return _expect(self._get(connection))

    def _read(self, response: HTTPResponse) -> None:
        self.body = b""
        self.id = self.id or response.headers["Content-Location"].rpartition("/")[2]
        while data := response.read1(65536):
            self.body += data
        self.ended = True


def _expect(response: HTTPResponse, status: int = 200) -> HTTPResponse:
    assert response.status == status, f"{response.status}: {response.read()!r}"
    return response


def log_of(port: int, id: str) -> list[tuple[int, str, str]]:
    """The events of an ended stream, as its log has them."""
    client = Polling(port, "")
    client.id = id
    return client.run().events


def until(what: Callable[[], object], seconds: float = DEADLINE) -> None:
    """Waits until what() is true. It looks less often the longer it waits: looking costs CPU that others need."""
    begun = time.monotonic()
    while not what():
        waited = time.monotonic() - begun
        assert waited < seconds, "it did not come to pass"
        time.sleep(min(max(0.01, waited / 10), 0.1))


def in_thread(work: Callable[..., Any], *arguments: object) -> Future[Any]:
    """Begins it in a thread that holds nobody up who leaves."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
