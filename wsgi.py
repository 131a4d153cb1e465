"""For `gunicorn wsgi:app` and `flask run`: patches first, for a stream waits without holding the others up."""

import logging
import sys

try:
    from gevent import monkey
except ImportError:
    sys.exit("Millstream needs gevent: run scripts/serve, or pip install -r requirements.txt")

monkey.patch_all()

import click  # noqa: E402

from app import create_app  # noqa: E402
from millstream.settings import SettingError, load  # noqa: E402
from millstream.upstreams.router import prepare  # noqa: E402

# One line for each request. Nobody else shows these: they are no warnings.
requests = logging.getLogger("millstream.requests")
requests.setLevel(logging.INFO)
requests.propagate = False
if not requests.handlers:
    requests.addHandler(logging.StreamHandler())

# Other commands of flask's than `run` only look: they start no model and are no worker.
context = click.get_current_context(silent=True)
serves = context is None or context.info_name == "run"

try:
    settings = load()
    if serves:
        prepare(settings)  # under gunicorn its master has done it
    app = create_app(settings, serves=serves)
except SettingError as error:
    print(f"Millstream can't start: {error}", file=sys.stderr)  # noqa: T201
    sys.exit(3)  # gunicorn's own code for "don't try again": with another one it starts new workers for ever
