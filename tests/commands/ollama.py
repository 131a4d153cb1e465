"""A model server such as Ollama, as far as its OpenAI door goes: a list of models, and answers word by word."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

WORDS = ("one", " two", " three")


class Ollama:
    """`with Ollama("llama3.2") as server:` answers at server.host; `asked` are the models that questions named."""

    def __init__(self, *models: str, ours: bool = False) -> None:
        """`ours`: it also has what Millstream has, /readyz."""
        self.models = models
        self.ours = ours
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listed = [{"id": name, "object": "model", "owned_by": "library"} for name in outer.models]
                found = self.path == "/v1/models" or (outer.ours and self.path == "/readyz")
                self._send(200 if found else 404, "application/json", json.dumps({"object": "list", "data": listed}))

            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(question["model"])
                pieces = [{"delta": {"content": word}} for word in WORDS] + [{"delta": {}, "finish_reason": "stop"}]
                frames = [
                    {"id": "x", "model": question["model"], "choices": [{"index": 0, **piece}]} for piece in pieces
                ]
                body = "".join(f"data: {json.dumps(frame)}\n\n" for frame in frames)
                self._send(200, "text/event-stream", body + "data: [DONE]\n\n")

            def _send(self, status: int, kind: str, body: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Ollama:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
