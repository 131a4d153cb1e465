"""An OpenAI-like upstream that does what it is told: calls the tool that it is given, tells what a tool answered."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Object = dict[str, Any]

WORDS = ["Suddenly", "a", "stream", "came", "by", "and", "told", "its", "story", "to", "whoever", "came"]
HOLD = 6
# Names of models: what they do beside obeying.
MODELS = ("plain", "thinks", "slow", "breaks", "errs", "short", "busy")


class Obedient:
    """`asked` has every body. A slow model waits `pace` seconds before each word; what `breaks` does so once, in the
    middle; what `errs` sends an error there, each time. A busy one refuses with 429. While `goes_on` is cleared, what
    is slow stops after HOLD words."""

    def __init__(self, pace: float = 0.05) -> None:
        self.asked: list[Object] = []
        self.pace = pace
        self.broken = 0
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.call: Object = {}  # arguments for tools by their name; else they are made from the schema

    def __enter__(self) -> Obedient:
        owner = self

        class Handler(_Handler):
            upstream = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.goes_on.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def table(self) -> Object:
        return {"kind": "openai", "base_url": self.url, "models": list(MODELS), "retries": 0}


class _Handler(BaseHTTPRequestHandler):
    upstream: Obedient
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.upstream.asked.append(asked)
        if not self.path.partition("?")[0].endswith("/chat/completions"):
            return self._whole({"object": "list", "data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 3}})
        if asked["model"].startswith("busy"):
            return self._whole({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, 429)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        model = asked["model"].partition("-")[0]
        try:
            for number, delta in enumerate(_deltas(asked, self.upstream.call)):
                if model == "slow":
                    time.sleep(self.upstream.pace)
                    if number == HOLD:
                        self.upstream.goes_on.wait()
                if number == 2 and model == "breaks" and not self.upstream.broken:
                    self.upstream.broken += 1
                    return None
                if number == 2 and model == "errs":
                    return self._say(
                        {"error": {"message": "overloaded", "type": "server_error", "code": "overloaded"}}
                    )
                role = {} if number else {"role": "assistant"}
                self._say({"choices": [{"index": 0, "delta": {**role, **delta}}]})
            called = "tool_calls" in delta
            reason = "length" if model == "short" else "tool_calls" if called else "stop"
            self._say({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
            usage: Object = {
                "prompt_tokens": 14,
                "completion_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 4},
            }
            self._say({"choices": [], "usage": usage})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:  # left
            pass
        return None

    def _say(self, chunk: Object) -> None:
        whole = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "obedient-1", **chunk}
        self.wfile.write(b"data: %b\n\n" % json.dumps(whole).encode())
        self.wfile.flush()

    def _whole(self, said: Object, status: int = 200) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _deltas(asked: Object, call: Object) -> list[Object]:
    """One for each word; a call in three pieces."""
    thoughts = (
        [{"reasoning_content": word} for word in ("Let ", "me ")] if asked["model"].startswith("thinks") else []
    )
    last = [message for message in asked["messages"] if message["role"] != "system"][-1]
    if last["role"] == "tool":
        return [*thoughts, *({"content": word} for word in ("It ", "says ", str(last["content"])[:200]))]
    if asked.get("tools") and asked.get("tool_choice") != "none":
        named = asked["tool_choice"]["function"]["name"] if isinstance(asked.get("tool_choice"), dict) else None
        tools = {tool["function"]["name"]: tool["function"] for tool in asked["tools"]}
        tool = tools[named or next((name for name in call if name in tools), next(iter(tools)))]
        text = json.dumps(call.get(tool["name"]) or _made(tool.get("parameters") or {}))
        begun = {"index": 0, "id": "call_1", "type": "function", "function": {"name": tool["name"], "arguments": ""}}
        pieces = [text[:5], text[5:]]
        return [
            *thoughts,
            {"tool_calls": [begun]},
            *({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces),
        ]
    if asked.get("response_format", {}).get("type") == "json_schema":
        made = json.dumps(_made(asked["response_format"]["json_schema"]["schema"]))
        return [{"content": made[:4]}, {"content": made[4:]}]
    return [*thoughts, *({"content": f"{word} "} for word in WORDS)]


def _made(schema: Object) -> Object:
    """An object that fits the schema."""
    kinds: Object = {"string": "Paris", "integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}
    found = schema.get("properties", {})
    return {name: kinds.get(found[name].get("type"), "Paris") for name in schema.get("required", found)}
