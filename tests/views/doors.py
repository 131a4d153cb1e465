"""The dialects' doors, and the least that each has to be told beside a model and messages."""

from __future__ import annotations

DOORS: dict[str, dict[str, object]] = {
    "/v1/chat/completions": {},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/messages": {"max_tokens": 9},
    "/v1/responses": {"input": "Hi"},
    "/api/chat": {},
    "/api/generate": {"prompt": "Hi"},
    "/ui/chat": {"messages": [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}]},
}
