"""The table of formats."""

from millstream.formats.table import BY_MEDIA_TYPE, FORMATS
from millstream.negotiation import OFFERED


def test_the_table_is_in_the_servers_order():
    assert list(FORMATS) == ["text", "sse", "ndjson", "html", "json"]


def test_negotiation_offers_the_same_types_in_the_same_order():
    assert tuple(BY_MEDIA_TYPE) == OFFERED
    assert list(BY_MEDIA_TYPE.values()) == list(FORMATS.values())


def test_what_is_sent_is_what_was_negotiated():
    assert all(format.CONTENT_TYPE.split(";")[0] == format.MEDIA_TYPE for format in FORMATS.values())
