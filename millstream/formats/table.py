"""All formats by their name, in the server's order."""

from __future__ import annotations

from millstream.formats import Format
from millstream.formats.html import Html
from millstream.formats.json import Json
from millstream.formats.ndjson import Ndjson
from millstream.formats.sse import Sse
from millstream.formats.text import Text

_CLASSES: tuple[type[Format], ...] = (Text, Sse, Ndjson, Html, Json)
FORMATS: dict[str, type[Format]] = {format.NAME: format for format in _CLASSES}
BY_MEDIA_TYPE: dict[str, type[Format]] = {format.MEDIA_TYPE: format for format in _CLASSES}
