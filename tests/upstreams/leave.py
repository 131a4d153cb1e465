"""Under gevent: kills a greenlet that asks an upstream, in the phase named, and waits until the upstream sees it go.

Run by test_leaving.py as `python -m gevent.monkey --module`, because gevent has to patch everything first.
"""

import itertools
import socket

import gevent
import psutil

from millstream.settings import UpstreamSettings
from millstream.upstreams.openai import OpenAI
from tests.calling import calling
from tests.upstreams.fake import CHUNKED, HOLD, WAIT, Fake, chunk, event, head
from tests.upstreams.pushing import push

PHASES = {
    "connecting": lambda: Fake(tls=True, mute=True),
    "before the headers": lambda: Fake([HOLD]),
    "in the headers": lambda: Fake([CHUNKED[:30], HOLD]),
    "before the first token": lambda: Fake([CHUNKED, HOLD]),
    "in the middle": lambda: Fake([CHUNKED + chunk(event("a")) + chunk(event("b"))[:-9], HOLD]),
    "in the middle, over TLS": lambda: Fake([CHUNKED + chunk(event("a")), HOLD], tls=True),
    "in a refusal": lambda: Fake([head("400 Bad", "Content-Length: 99") + b"x", HOLD]),
}


def ask(upstream, pours):
    list(push(upstream, calling("m", [])) if pours else upstream.stream(calling("m", [])))


def connections(*states):
    return [one for one in psutil.Process().net_connections("tcp") if one.status in states]


for (phase, make), pours in itertools.product(PHASES.items(), (False, True)):
    server = make()
    asking = gevent.spawn(ask, OpenAI(server.settings()), pours)
    assert (server.asked if phase == "connecting" else server.said).wait(WAIT), phase
    gevent.sleep(0.05)  # the client takes up what was sent
    assert not asking.ready(), (phase, asking.exception)
    asking.kill()
    assert server.left.wait(WAIT), phase
    assert isinstance(asking.value, gevent.GreenletExit), phase
    print(phase)

# No server sees this one: it never gets as far.
full = socket.create_server(("127.0.0.1", 0), backlog=0)
queued = [socket.create_connection(full.getsockname())]
address = f"http://127.0.0.1:{full.getsockname()[1]}"
asking = gevent.spawn(ask, OpenAI(UpstreamSettings("x", "openai", base_url=address, connect=WAIT)), False)
gevent.sleep(0.2)
assert connections("SYN_SENT")
asking.kill()
assert not connections("SYN_SENT")
queued[0].close()
full.close()
print("connecting to one that does not answer")

# Nothing is left but what listens.
assert not (left := connections("ESTABLISHED", "CLOSE_WAIT")), left
