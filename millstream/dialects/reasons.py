"""Turn the many shapes of servers' errors into one. Pure."""

from __future__ import annotations

import json

from msgspec import Struct

# Other names for "message" and "code" (Baidu, MiniMax, FastAPI).
MESSAGES = ("message", "error_msg", "error_message", "err_msg", "errmsg", "msg", "detail", "status_msg")
NUMBERS = ("code", "error_code", "err_code", "errcode", "status_code")
# Codes that mean success: iFlytek sends 0 with every chunk, some gateways 200.
SUCCESS: tuple[object, ...] = (None, 0, "0", "", 200, "200", False)


class Reason(Struct, frozen=True):
    """The reason in an error body or an error frame. `code` and `type` are text, also where they came as numbers."""

    message: str = ""
    code: str = ""
    type: str = ""
    param: str = ""


def reason(document: object) -> Reason:
    """Finds the reason in `{"error": {…}}`, `{"error": "…"}`, `{"message", "code"}`, a list of these, or a text."""
    if isinstance(document, list):
        return reason(document[0]) if document else Reason()
    if not isinstance(document, dict):
        return Reason("" if document is None else str(document))
    inner = document.get("error") or document.get("base_resp")
    if isinstance(inner, dict | list):
        return reason(inner)
    said = [inner if isinstance(inner, str) else None, *map(document.get, MESSAGES), inner]
    message = next(filter(None, said), None)
    code = next((code for name in NUMBERS if (code := document.get(name)) is not None), None)
    return Reason(_text(message), _text(code), *(_text(document.get(name)) for name in ("type", "param")))


def is_error(document: object) -> bool:
    """Return True if a JSON document outside of an answer reports an error."""
    if not isinstance(document, dict):
        return False
    inner = document.get("base_resp")
    named = {**document, **inner} if isinstance(inner, dict) else document
    return document.get("success") is False or any(
        isinstance(value, str) and value not in ("", "success", "Success")
        if name in MESSAGES
        else value not in SUCCESS
        for name, value in named.items()
        if name in (*MESSAGES, *NUMBERS, "error")
    )


def reason_in(body: bytes) -> Reason:
    """The same for a body that may be JSON, plain text, HTML or nothing; JSON without a reason is one itself."""
    text = body.decode("utf-8", "replace").strip()
    try:
        why = reason(json.loads(text))
        return why if why.message or why.code or why.type else Reason(text.strip("{}[] "))
    except (ValueError, RecursionError):
        # An HTML page is no readable error message.
        return Reason("" if text.startswith("<") else text)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
