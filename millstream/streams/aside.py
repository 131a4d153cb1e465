"""Work that blocks and has no descriptor to wait for, such as a database in a file, on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from gevent.threadpool import ThreadPool

Asked = ParamSpec("Asked")
Given = TypeVar("Given")


class Aside:
    """One real thread, begun when there is something to do. One, since locks that gevent has patched are made to be
    waited for in greenlets, not in threads."""

    def __init__(self) -> None:
        self._pool = ThreadPool(1)

    def run(self, work: Callable[Asked, Given], *args: Asked.args, **named: Asked.kwargs) -> Given:
        """Return the result of `work`, or raise its error. Other greenlets run meanwhile."""
        result, error = self._pool.apply(_kept, (work, args, named))
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]


def _kept(work: Callable[..., Given], args: tuple[object, ...], named: dict[str, object]) -> tuple[object, object]:
    """Return errors as values: gevent's pool prints a traceback for each one raised."""
    try:
        return work(*args, **named), None
    except Exception as error:
        return None, error
