"""Under gevent: kills a greenlet that asks an upstream, with every adapter and in every phase, and waits until the
server sees it go. Run by test_contract.py as `python -m gevent.monkey --module`, as leave.py."""

import gevent
from gevent.event import Event as Signal

from millstream.upstreams.answers import Flow
from tests.upstreams.contracts import CONNECTED, Text
from tests.upstreams.fake import HOLD, WAIT
from tests.upstreams.test_contract import question


def ask(door):
    for batch in door.upstream().stream(question(door.model, door.apis[0])):
        over = Signal()
        if isinstance(batch, Flow) and batch.pour(lambda events: True, lambda error, over=over: over.set()):
            over.wait()


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
