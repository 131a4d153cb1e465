from __future__ import annotations

import pytest

from millstream.limits.bounds import Bounds, bounds, network
from millstream.settings import KeySettings, Settings

SERVER = Settings(requests_per_minute=1, streams=2, tokens_per_day=3, max_prompt=4, max_tokens=5)


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        (None, Bounds(1, 2, 3, 4, 5)),
        (KeySettings("a", "x"), Bounds(1, 2, 3, 4, 5)),
        (KeySettings("a", "x", requests_per_minute=9, max_tokens=0), Bounds(9, 2, 3, 4, 0)),
    ],
)
def test_a_key_has_the_servers_limits_but_for_its_own(key, wanted):
    assert bounds(SERVER, key) == wanted


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_whom_an_address_belongs_to(address, wanted):
    assert network(address) == wanted
