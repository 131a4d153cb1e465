"""Under gevent: kills a greenlet that asks an upstream, with every adapter and in every phase, and waits until the
server sees it go. Run by test_contract.py as `python -m gevent.monkey --module`, as leave.py."""

import gevent

from tests.upstreams.contracts import CONNECTED, Text
from tests.upstreams.fake import HOLD, WAIT
from tests.upstreams.pushing import push
from tests.upstreams.test_contract import question


def ask(door):
    list(push(door.upstream(), question(door.model, door.apis[0])))


PHASES = {
    "before the headers": lambda door: door.mute(),
    "before the first token": lambda door: door.play(HOLD),
    "in mid-answer": lambda door: door.play(Text("a"), HOLD),
}

for name, make in CONNECTED.items():
    for phase, play in PHASES.items():
        door = make()
        play(door)
        asking = gevent.spawn(ask, door)
        assert door.said.wait(WAIT), (name, phase, asking.exception)
        gevent.sleep(0.05)  # the client takes up what was sent
        assert not asking.ready(), (name, phase, asking.exception)
        asking.kill()
        assert door.left.wait(WAIT), (name, phase)
        assert isinstance(asking.value, gevent.GreenletExit), (name, phase)
        door.close()
        print(name, phase)
