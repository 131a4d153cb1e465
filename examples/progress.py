"""A Flask application of your own that streams a job's progress with `millstream.stream`.

cd examples && PYTHONPATH=.. ../.venv/bin/gunicorn -k gevent -b 127.0.0.1:8001 progress:app
curl -N localhost:8001/progress                                  words, as they come
curl -N -H 'Accept: text/event-stream' localhost:8001/progress   the same as events
"""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import time  # noqa: E402

from flask import Flask  # noqa: E402

import millstream  # noqa: E402

app = Flask(__name__)


def job(steps: int, pause: float):
    """Stands for something that takes its time."""
    for step in range(1, steps + 1):
        time.sleep(pause)
        yield f"step {step} of {steps} done\n"


@app.get("/progress")
def progress():
    pause = float(os.environ.get("PAUSE", "0.5"))  # plain values: the job runs outside the request
    return millstream.stream(job(10, pause))
