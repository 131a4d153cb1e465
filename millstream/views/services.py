"""What the views work with; app.py puts it together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

from flask import current_app

from millstream.access import Access
from millstream.events import Api
from millstream.limits import Limits
from millstream.settings import Settings
from millstream.streams import Streams
from millstream.upstreams import Upstream


class Models(Protocol):
    """Which upstream answers to a model's name."""

    default: str

    def find(self, model: str, api: Api = "chat") -> Upstream:
        """Raises MillstreamError (model_not_found)."""
        ...

    def models(self) -> list[str]: ...


@dataclass(frozen=True)
class Services:
    settings: Settings
    streams: Streams
    models: Models
    access: Access
    limits: Limits


def services() -> Services:
    """Those of the application that serves this request."""
    return cast(Services, current_app.extensions["millstream"])
