"""For a checkout: `gunicorn wsgi:app` and `flask run`. Everything is in millstream/wsgi.py."""

from millstream.wsgi import app

__all__ = ["app"]
