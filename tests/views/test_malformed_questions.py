"""Malformed requests at each door: 200 of each kind, made from what real clients sent."""

from __future__ import annotations

import json
import random
from copy import deepcopy

import pytest

from millstream.dialects.table import DOORS
from millstream.settings import UpstreamSettings
from tests.dialects.recordings import requests
from tests.upstreams.fake import END, WAIT, Fake, whole

ODD = [
    5,
    -1,
    1.5,
    True,
    "",
    "x",
    None,
    [],
    {},
    [None],
    [[]],
    {"type": 5},
    {"type": "odd"},
    [{"type": None}],
    "\ud800",
    2**70,
]
KEYS = {
    "openai": {"error"},
    "completions": {"error"},
    "messages": {"type", "error", "request_id"},
    "responses": {"error"},
    "ollama": {"error"},
    "generate": {"error"},
    "ui": None,
}


def mutated(body, chance):
    """The body with one value somewhere replaced, left out, or doubled."""
    body = deepcopy(body)
    holder, place = None, None
    value = body
    while isinstance(value, dict | list) and value and (holder is None or chance.random() < 0.8):
        holder = value
        place = chance.choice(sorted(value)) if isinstance(value, dict) else chance.randrange(len(value))
        value = holder[place]
    if chance.random() < 0.15:
        del holder[place]
    else:
        holder[place] = chance.choice(ODD)
    return body


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_a_malformed_question_is_refused_in_the_doors_own_shape(make_app, door):
    upstream = Fake(*[whole(body=END)] * 200)
    table = UpstreamSettings("up", "openai", ("m",), upstream.address, connect=WAIT, retries=0)
    client = make_app(upstreams=(table,), status_wait=WAIT).test_client()
    chance = random.Random(f"{door.name} 1")
    bodies = [body | {"model": "m"} for _, body in requests(door.name)]
    refused = 0
    for _ in range(200):
        body = json.dumps(mutated(chance.choice(bodies), chance)).encode()
        if chance.random() < 0.1:
            body = body[: chance.randrange(len(body))]
        asked = len(upstream.requests)
        response = client.post(door.path, data=body, content_type="application/json")
        assert response.status_code in (200, 400, 404), (response.status_code, body)
        if response.status_code == 200:
            continue
        refused += 1
        assert len(upstream.requests) == asked
        if KEYS[door.name] is None:
            assert response.content_type.startswith("text/plain")
        else:
            assert set(response.json) == KEYS[door.name], response.json
    assert refused > 40
    upstream.close()
