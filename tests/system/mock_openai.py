"""Two stand-ins for a provider: an independent mock of OpenAI's API, and recorded answers that come as they were."""

from __future__ import annotations

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
RECORDED = TESTS / "wire" / "openai"
# Answers that are whole, in the valid chunks that OpenAI's own SDKs can read.
WHOLE = [
    "comments",
    "crlf",
    "finish_content_filter",
    "finish_function_call",
    "finish_insufficient_system_resource",
    "finish_on_the_last_content",
    "llamacpp",
    "null_role_and_content",
    "one_chunk",
    "openai",
    "other_id_and_model_each_time",
    "reasoning",
    "reasoning_content",
    "refusal",
    "separators_in_the_text",
    "several_answers",
    "tool_calls",
    "unknown_keys",
    "usage_so_far_on_each",
]


class Mock:
    """aimock, https://github.com/CopilotKit/aimock, with the answers that tests/node/mock.js gives it."""

    def __enter__(self) -> Mock:
        self._process = subprocess.Popen(
            ["node", "mock.js"], cwd=TESTS / "node", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip() + "/v1"
        assert self.url.startswith("http"), "the mock did not start; scripts/test installs tests/node/node_modules"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # closes its stdin

    @property
    def table(self) -> dict[str, object]:
        return {"kind": "openai", "base_url": self.url, "models": ["gpt-mock"]}


class Recorded:
    """Answers with the file tests/wire/openai/MODEL.sse, whatever is asked."""

    def __enter__(self) -> Recorded:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Player)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def table(self) -> dict[str, object]:
        return {"kind": "openai", "base_url": self.url, "models": WHOLE}


class _Player(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = (RECORDED / f"{asked['model']}.sse").read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
