"""Under gevent: kills a greenlet that asks Spark, in the phase named, and waits until the server sees it go.

Run by test_leaving.py as `python -m gevent.monkey --module`, because gevent has to patch everything first.
"""

import socket

import gevent
import psutil

from millstream.settings import Secret, UpstreamSettings
from millstream.upstreams.spark import Spark
from tests.calling import calling
from tests.upstreams.spark_server import API_SECRET, APP_ID, HOLD, WAIT, SparkServer, frame, wire

PHASES = {
    "in TLS's handshake": SparkServer(tls=True, mute=True),
    "before the upgrade": SparkServer(handshake=[HOLD]),
    "in the upgrade": SparkServer(handshake=[b"HTTP/1.1 101 Swi", HOLD]),
    "in a refusal": SparkServer(handshake=[b"HTTP/1.1 403 No\r\nContent-Length: 99\r\n\r\nx", HOLD]),
    "before the first frame": SparkServer([HOLD]),
    "in the first frame": SparkServer([wire(frame("a", 0))[:9], HOLD]),
    "before the first token": SparkServer([frame("", 0), HOLD]),
    "in the middle": SparkServer([frame("a", 0), wire(frame("b"))[:9], HOLD]),
    "in the middle, over TLS": SparkServer([frame("a", 0), HOLD], tls=True),
}
CALL = calling("lite", [{"role": "user", "content": "Hi"}])


def ask(upstream):
    for _ in upstream.stream(CALL):
        pass


def connections(*states):
    return [one for one in psutil.Process().net_connections("tcp") if one.status in states]


for phase, server in PHASES.items():
    asking = gevent.spawn(ask, Spark(server.settings(("lite",))))
    assert (server.asked if phase == "in TLS's handshake" else server.said).wait(WAIT), phase
    gevent.sleep(0.05)  # the client takes up what was sent
    assert not asking.ready(), (phase, asking.exception)
    asking.kill()
    assert server.left.wait(WAIT), phase
    assert isinstance(asking.value, gevent.GreenletExit), phase
    print(phase)

# No server sees this one: it never gets as far.
full = socket.create_server(("127.0.0.1", 0), backlog=0)
queued = [socket.create_connection(full.getsockname())]
address = f"ws://127.0.0.1:{full.getsockname()[1]}"
keys = {"app_id": APP_ID, "api_secret": Secret(API_SECRET)}
table = UpstreamSettings("x", "spark", ("lite",), address, Secret("key"), connect=WAIT, extra=keys)
asking = gevent.spawn(ask, Spark(table))
gevent.sleep(0.2)
assert connections("SYN_SENT")
asking.kill()
assert not connections("SYN_SENT")
queued[0].close()
full.close()
print("connecting to one that does not answer")

# Nothing is left but what listens.
assert not (left := connections("ESTABLISHED", "CLOSE_WAIT")), left
