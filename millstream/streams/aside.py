"""Run blocking work, such as SQLite, on a separate thread, so that it doesn't block the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from gevent.threadpool import ThreadPool

Asked = ParamSpec("Asked")
Given = TypeVar("Given")


class Aside:
    """A single real thread, started on first use. Only one, because locks patched by gevent work between greenlets
    but not between threads."""

    def __init__(self) -> None:
        self._pool = ThreadPool(1)

    def run(self, work: Callable[Asked, Given], *args: Asked.args, **named: Asked.kwargs) -> Given:
        """Return the result of `work`, or raise its error. Other greenlets run in the meantime."""
        result, error = self._pool.apply(_kept, (work, args, named))
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def close(self) -> None:
        """The thread ends with what it does now; nothing more is run."""
        self._pool.maxsize = 0


def _kept(work: Callable[..., Given], args: tuple[object, ...], named: dict[str, object]) -> tuple[object, object]:
    """Return errors as values: gevent's pool prints a traceback for each one raised."""
    try:
        return work(*args, **named), None
    except Exception as error:
        return None, error
