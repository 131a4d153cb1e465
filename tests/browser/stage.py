"""A small server of the tests' own: the client's test page, and what a test wants it to answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.system.nginx import ROOT

FILES = {
    "/": ("text/html", ROOT / "tests/browser/client.html"),
    "/static/millstream.js": ("application/javascript", ROOT / "static/millstream.js"),
}
Answer = tuple[int, dict[str, str], bytes]


class Stage:
    """`with Stage(answer) as stage:` serves on stage.port. `answer(method, path, headers)` gives status, headers and
    body of all that is not a file; `asked` has what it was asked: method, path, headers."""

    def __init__(self, answer: Callable[[str, str, dict[str, str]], Answer]) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        stage = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if (name := self.path.split("?")[0]) in FILES:
                    media_type, file = FILES[name]
                    status, headers, body = 200, {"Content-Type": media_type}, file.read_bytes()
                else:
                    sent = {name.lower(): value for name, value in self.headers.items()}
                    stage.asked.append((self.command, self.path, sent))
                    status, headers, body = answer(self.command, self.path, sent)
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                for name, value in {"Cache-Control": "no-store", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):  # the client has left
                    self.wfile.write(body)

            do_POST = do_OPTIONS = do_GET

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Stage:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
