"""For `gunicorn wsgi:app` and `flask run`: patches first, for a stream waits without holding the others up."""

import logging
import sys

try:
    from gevent import monkey
except ImportError:
    sys.exit("Millstream needs gevent: run scripts/serve, or pip install -r requirements.txt")

monkey.patch_all()

import click  # noqa: E402
from flask import Flask  # noqa: E402

from app import create_app  # noqa: E402
from millstream.doctor.command import doctor  # noqa: E402
from millstream.settings import SettingError, load  # noqa: E402
from millstream.upstreams.router import prepare  # noqa: E402

# One JSON line for each stream that ends. Nobody else shows these: they are no warnings.
ends = logging.getLogger("millstream.ends")
ends.setLevel(logging.INFO)
ends.propagate = False
if not ends.handlers:
    ends.addHandler(logging.StreamHandler())

try:
    if "doctor" in sys.argv and click.get_current_context(silent=True):
        # It looks at a server from outside: here it needs no store, and no local model.
        app = Flask(__name__)
    else:
        settings = load()
        prepare(settings)  # under gunicorn its master has done it
        app = create_app(settings)
    app.cli.add_command(doctor)
except SettingError as error:
    print(f"Millstream can't start: {error}", file=sys.stderr)  # noqa: T201
    sys.exit(3)  # gunicorn's own code for "don't try again": with another one it starts new workers for ever
