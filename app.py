"""For a checkout: `from app import create_app`. The application is in millstream/application.py."""

from millstream.application import create_app

__all__ = ["create_app"]
