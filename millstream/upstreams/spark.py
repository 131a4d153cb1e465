"""iFlytek's Spark over its WebSocket: https://www.xfyun.cn/doc/spark/Web.html

Spark's HTTP address speaks OpenAI's API: for that, use the kind "openai".
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterable
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

from millstream.dialects import models
from millstream.dialects.reading import Broken
from millstream.dialects.spark.reader import Frames
from millstream.dialects.spark.request import MODELS, Model, parameters, write
from millstream.errors import RequestError, UpstreamError
from millstream.events import Call, Event
from millstream.settings import Secret, SettingError, UpstreamSettings
from millstream.sockets.websocket import Connection, Refused
from millstream.upstreams import Blocking, Configured, questioned
from millstream.upstreams.decoder import Decoder
from millstream.upstreams.outbound import SETTINGS, authority, connector, unreached
from millstream.upstreams.spark_codes import failure, handshake
from millstream.upstreams.spark_signing import authorization, signature, target
from millstream.upstreams.table import check_names
from millstream.wire.head import Headers

BASE_URL = "wss://spark-api.xf-yun.com"
BEFORE = "before it answered"
EXTRA = {"app_id", "api_secret", *SETTINGS}


class Spark(Configured):
    """The kind "spark": one connection for each question. Its settings, besides outbound.SETTINGS, are `app_id`
    and `api_secret`. `models` are names in MODELS, which has each model's path and domain. `base_url` is the
    server alone. temperature, max_tokens and top_k are limited to the model's range."""

    def __init__(self, settings: UpstreamSettings) -> None:
        _check(settings)
        super().__init__(settings)
        self.models = settings.models or tuple(MODELS)
        self._app_id = _key(settings, "app_id")
        self._api_key = _key(settings, "api_key")
        self._api_secret = _key(settings, "api_secret")
        self._url = settings.base_url or BASE_URL
        self._host = authority(urlsplit(self._url))  # as in the Host header and in signatures
        self._connector = connector(settings, self._url, tunnels=True)

    def known(self, model: str) -> models.Model:
        return models.Model(model, tools=model in MODELS and MODELS[model].functions, vision=False)

    def ask(self, call: Call) -> Blocking:
        model = MODELS.get(call.model)
        if model is None:
            says = f"Spark has no model {call.model[:100]!r}; it has {', '.join(MODELS)}."
            raise RequestError("model_not_found", says, "model")
        question = questioned(call)
        said = write(question, model, self._app_id.reveal(), call.caller)
        date = formatdate(usegmt=True)
        secrets = self._secrets(model, date)

        def fail(broken: Broken, begun: bool) -> UpstreamError:
            return failure(self.name, int(broken.reason.code), broken.reason.message, secrets, begun)

        connection = self._connect(model, date, secrets)
        most = parameters(question.options, model).get("max_tokens")
        reader = Frames(bool(question.tools) and question.choice.mode != "none", most)
        decoder = Decoder(reader, call, self.name, secrets, fail=fail)
        batches = self._answer(connection, said, reader, decoder)
        try:
            next(batches)  # the upstream has accepted
        except BaseException:
            connection.close()
            raise
        return Blocking(batches, connection.close)

    def _connect(self, model: Model, date: str, secrets: tuple[Secret, ...]) -> Connection:
        """Connect: TCP, TLS and the WebSocket upgrade, within the time limit. Nothing has been asked yet, so an error
        here is never billed."""
        limit = self._connector.limit
        deadline = time.monotonic() + limit
        try:
            connection = Connection(self._connector.connect())
            try:
                connection.upgrade(self._host, target(self._host, model.path, date, secrets[0].reveal()), deadline)
            except BaseException:
                connection.close()
                raise
        except Refused as refused:
            raise handshake(
                self.name, refused.status, Headers(refused.headers), refused.body, time.time(), secrets
            ) from refused
        except OSError as error:
            raise unreached(self.name, self._url, limit, error) from error
        except ValueError as error:
            says = f'upstream "{self.name}": does not speak WebSocket ({error}); check its base_url {self._url}.'
            raise UpstreamError("upstream_protocol", says, paid=False) from error
        return connection

    def _answer(self, connection: Connection, asked: str, reader: Frames, decoder: Decoder) -> Generator[list[Event]]:
        """Yield one batch for each read. The first frame means that Spark has accepted; until then it may refuse."""
        accepted = False
        try:
            connection.send(asked)
        except OSError as error:
            raise decoder.cut(BEFORE) from error
        del asked
        while not decoder.done:
            try:
                messages = connection.receive()
            except ValueError as error:
                raise decoder.unreadable(error) from error
            cut = () if reader.accepted else (BEFORE,)
            batch, failure = _decode(decoder, messages) if messages else ([], decoder.cut(*cut))
            if reader.accepted and not accepted:
                accepted = True
                yield []
            if batch:
                yield batch
            if failure is not None:
                raise failure

    def _secrets(self, model: Model, date: str) -> tuple[Secret, ...]:
        """Return the secrets to hide in errors. The first is the authorization: it is a part of the address, which
        gateways often quote."""
        host, key, secret = self._host, self._api_key, self._api_secret
        signed = authorization(host, model.path, date, key.reveal(), secret.reveal())
        sign = signature(host, model.path, date, secret.reveal())
        return Secret(signed), Secret(sign), key, secret, self._app_id


def _decode(decoder: Decoder, messages: Iterable[str | bytes]) -> tuple[list[Event], UpstreamError | None]:
    """Return the events that came before an error, and the error."""
    batch: list[Event] = []
    try:
        for message in messages:
            batch += decoder.feed(message)
            if decoder.done:  # ignore anything after the end
                return batch + decoder.close(), None
    except UpstreamError as failure:
        return batch, failure
    return batch, None


def _check(settings: UpstreamSettings) -> None:
    """Check the settings of this kind. Raises SettingError."""
    where = f"upstreams.{settings.name}"
    check_names(settings, EXTRA)
    if unknown := [model for model in settings.models if model not in MODELS]:
        raise SettingError(f"{where}.models has {unknown[0]!r}; it has to be of {', '.join(MODELS)}")
    parts = urlsplit(settings.base_url or BASE_URL)
    if parts.scheme not in ("ws", "wss") or parts.path or parts.query or parts.fragment:
        raise SettingError(
            f"{where}.base_url is {settings.base_url!r}; it has to be a WebSocket's address with no path, such as "
            f"{BASE_URL}: the path comes from the model"
        )


def _key(settings: UpstreamSettings, name: str) -> Secret:
    value: Any = settings.api_key if name == "api_key" else settings.extra.get(name, "")
    text = value.reveal() if isinstance(value, Secret) else value
    if not isinstance(text, str) or not re.fullmatch(r"[!#-~]+", text):
        raise SettingError(
            f"upstreams.{settings.name} needs its {name}, as text without spaces; see iFlytek's console"
        )
    return Secret(text)
