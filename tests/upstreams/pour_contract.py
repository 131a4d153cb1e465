"""Under gevent: every answer of the contract once more, poured from the event loop. Run by test_contract.py as
`python -m gevent.monkey --module`."""

from millstream.errors import UpstreamError
from millstream.upstreams.openai import OpenAI
from tests.upstreams.contracts import DOORS
from tests.upstreams.fake import CALL, CHUNKED, END, LAST, Fake, chunk, event
from tests.upstreams.pushing import Pushed, push
from tests.upstreams.test_contract import ANSWERS, BROKEN, every, list_until_failure, question

in_the_loop = set()  # names of those that ever poured there


def poured(upstream, call, name):
    sink = Pushed()
    yield from push(upstream, call, sink)
    if sink.in_the_loop:
        in_the_loop.add(name)


for cases, breaks in ((ANSWERS, False), (BROKEN, True)):
    for name, api, steps in (case.values for case in every(cases)):
        one, keep = DOORS[name](), ["", ""]
        one.play(*steps, **({} if breaks or len(steps) > 100 else {"pieces": 7}))
        stream = poured(one.upstream(), question(one.model, api), name)
        last, code = None, ""
        try:
            for batch in list_until_failure(stream, keep):
                last = batch[-1] if batch else last
        except UpstreamError as error:
            code = error.code
        assert tuple(keep) == one.texts(steps), (name, api, steps, keep)
        assert code == ("upstream_broke" if breaks else ""), (name, api, steps, code)
        assert breaks or last.type == "done", (name, api, steps, last)
        one.close()
# What TLS has decrypted makes no socket readable.
texts = [f"{n} " for n in range(20_000)]
server = Fake([CHUNKED + chunk(b"".join(map(event, texts))) + chunk(END) + LAST], tls=True)
batches = poured(OpenAI(server.settings()), CALL, "TLS")
assert "".join(one.text for batch in batches for one in batch) == "".join(texts)

print(*sorted(in_the_loop), sep="\n")
