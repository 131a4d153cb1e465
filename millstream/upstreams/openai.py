"""Any server with OpenAI's API: https://platform.openai.com/docs/api-reference/chat/create"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import msgspec
import requests

from millstream.errors import RequestError, UpstreamError
from millstream.events import Api, Call, Event
from millstream.settings import SettingError, UpstreamSettings
from millstream.sockets.upstream import Body
from millstream.upstreams import Deadlines, answers
from millstream.upstreams.completion import Decoder
from millstream.upstreams.http import SETTINGS, Client
from millstream.upstreams.refusals import refusal

ERROR_BODY = 65536, 5.0  # bytes and seconds of a refusal that are read
EXTRA = SETTINGS


class OpenAI:
    """One `[upstreams.NAME]` of kind "openai". Its own settings are those of http.SETTINGS."""

    native: frozenset[Api] = frozenset({"chat", "openai"})

    def __init__(self, settings: UpstreamSettings) -> None:
        if not settings.base_url.startswith(("http://", "https://")):
            raise SettingError(f"upstreams.{settings.name} needs a base_url, such as https://api.openai.com/v1")
        if unknown := sorted(set(settings.extra) - EXTRA):
            raise SettingError(
                f"upstreams.{settings.name} has unknown settings: {', '.join(unknown)}; "
                f"of its own the kind {settings.kind} has {', '.join(sorted(EXTRA))}"
            )
        self.name = settings.name
        self.models = settings.models
        self.deadlines = Deadlines(settings.connect, settings.first_token, settings.silence, settings.total)
        self._secrets = (settings.api_key,)
        self._client = Client(settings, "/chat/completions", _authorization(settings))
        self._stream_options = True  # until a server complains of them

    def stream(self, call: Call) -> Generator[list[Event]]:
        body, kind = self._ask(call)
        decoder = Decoder(call, self.name, self._secrets)
        try:
            yield []
            yield from answers.read(body, answers.payloads(kind), decoder, self.name)
        finally:
            if decoder.done:
                body.release()
            else:
                body.close()

    def _ask(self, call: Call) -> tuple[Body, str]:
        """The body of an accepted request, and its type. Raises UpstreamError."""
        response = self._client.post(_request(call, self._stream_options))
        if response.status_code == 200:
            return self._accepted(response)
        error, said = self._refused(response)
        complains = self._stream_options and response.status_code in (400, 422)
        if not (complains and (b"stream_options" in said or b"include_usage" in said)):
            raise error
        self._stream_options = False
        return self._ask(call)

    def _accepted(self, response: requests.Response) -> tuple[Body, str]:
        kind = response.headers.get("Content-Type", "")
        if not kind.lower().startswith("text/html"):
            return self._client.body(response), kind
        response.close()
        raise UpstreamError(
            "upstream_protocol", f'upstream "{self.name}" answered with a web page ({kind}); check its base_url.'
        )

    def _refused(self, response: requests.Response) -> tuple[UpstreamError, bytes]:
        try:
            body = self._client.body(response)
        except UpstreamError:  # its status says enough
            said = b""
        else:
            try:
                said = body.beginning(*ERROR_BODY)
            finally:
                body.release(tail=0)
        return refusal(self.name, response.status_code, response.headers, said, self._secrets), said


def _authorization(settings: UpstreamSettings) -> dict[str, str]:
    key = settings.api_key.reveal()
    if not re.fullmatch(r"[!-~]*", key):
        raise SettingError(f"upstreams.{settings.name}.api_key has spaces or characters in it that no key can have")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _request(call: Call, stream_options: bool) -> bytes:
    asked: dict[str, Any] = {"model": call.model, "messages": call.messages, **call.options, "stream": True}
    if stream_options:
        asked["stream_options"] = {"include_usage": True}
    try:
        return msgspec.json.encode(asked)
    except UnicodeEncodeError as error:
        raise RequestError(
            "bad_field", "messages hold half of a surrogate pair; send whole characters.", "messages"
        ) from error
