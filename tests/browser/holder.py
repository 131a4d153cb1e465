"""A proxy that withholds every response until it has ended, as scanning proxies do."""

from __future__ import annotations

import http.client
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DEADLINE = 60.0  # s
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class Holder:
    """`with Holder(port) as holder:` serves on holder.port what `port` answers, whole."""

    def __init__(self, port: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                _pass_on(self, port)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Holder:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.block_on_close = False  # it may still wait for the end of a response that nobody wants any more
        self._server.shutdown()
        self._server.server_close()


def _pass_on(handler: BaseHTTPRequestHandler, port: int) -> None:
    body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    backend = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        backend.request(handler.command, handler.path, body, dict(handler.headers))
        response = backend.getresponse()
        whole = response.read()
    finally:
        backend.close()
    with suppress(ConnectionError):  # the browser has given up waiting
        handler.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(whole)))
        handler.end_headers()
        handler.wfile.write(whole)
