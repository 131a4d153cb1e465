"""Import the application in a checkout: `from app import create_app`. It is built in millstream/application.py."""

import sys

import click

if __name__ == "__main__":
    sys.exit("app.py is no program. Start the server with scripts/serve, or with the installed command: millstream")
if click.get_current_context(silent=True):  # `flask --app app run`
    sys.exit(
        "Start the server with scripts/serve. With flask it is `flask run`, without --app: wsgi.py patches first."
    )

from millstream.application import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> object:
    if name == "app":  # `gunicorn app:app`, as tutorials have it
        print("The application is in wsgi.py, which patches first: gunicorn wsgi:app", file=sys.stderr)  # noqa: T201
        sys.exit(3)  # with another code gunicorn would try again for ever
    raise AttributeError(name)
