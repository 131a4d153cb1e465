"""gunicorn's settings for Millstream. `gunicorn wsgi:app` in this folder reads this file automatically.

https://docs.gunicorn.org/en/stable/settings.html
"""

import gc

gc.disable()  # imports leave no garbage, and looking for it is a tenth of a start

# Before all other imports: a module that imported ssl unpatched recurses without end later.
from millstream.patching import patch

patch()

import atexit
import errno
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import gunicorn

if gunicorn.version_info < (27, 0, 1):  # an application that has Millstream as a library may have another one
    sys.exit(
        f"Millstream can't start: gunicorn {gunicorn.__version__} is installed, and the server needs 27.0.1 or "
        "newer, which refuses malformed requests. Upgrade it: pip install -U gunicorn"
    )

# SIGHUP runs this file again. The master then forgets its imports, so that new workers get new code.
for _name in [name for name in sys.modules if name.partition(".")[0] == "millstream"]:
    del sys.modules[_name]

from millstream.access.sessions import open_secret
from millstream.limits.table import open_storage
from millstream.metrics_room import Room
from millstream.settings import SettingError, Settings, config_path, load, located, make_state
from millstream.settings.summary import summary, warning
from millstream.sockets.client import Aborted
from millstream.stores.table import try_store
from millstream.upstreams.router import Router, prepare
from millstream.usage import Ledger


def _read_settings() -> tuple[Settings, str, int]:
    """The settings, the model that answers where a request names none ("" if only an upstream's list will tell, which
    the master doesn't ask for), and the number of workers.

    Raises SettingError for all that would keep a worker from starting.
    """
    settings = load()
    make_state(settings)
    # gunicorn itself has already refused a value that is not a number.
    workers = int(os.environ.get("WEB_CONCURRENCY") or (1 if settings.store.startswith("memory:") else 2))
    try_store(settings.store, ttl=settings.ttl, workers=workers)
    open_storage(settings.limits_store).close()
    if settings.keys:
        open_secret(settings.session_secret)
    Ledger(settings.database).check()
    return settings, Router(settings).named, workers


def _bind() -> str:
    host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
    if not port.isdigit() or int(port) > 65535:
        raise SettingError(f"PORT is {port!r}; it has to be a number up to 65535")
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


try:
    settings, _model, workers = _read_settings()
    bind = _bind()
except SettingError as error:
    sys.exit(f"Millstream can't start: {located(error, config_path(os.environ))}")

worker_class = "millstream.worker.StreamWorker"
worker_connections = 10_000  # the 1,001st would hang silently otherwise; the cap that answers 503 is max_streams
keepalive = 30  # also the limit for receiving a request's headers; a proxy has to keep idle connections for less
limit_request_line = 8190  # a prompt of 900 Chinese characters in a GET
graceful_timeout = settings.graceful_timeout
timeout = 60  # of the worker's loop, not of a request
max_requests = 0  # a worker that leaves by itself would keep new clients waiting until its streams have ended
worker_tmp_dir = (
    "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
)  # the loop's heartbeat shall not wait for a disk
# gunicorn's own `info` lines tell of workers and signals. GUNICORN_CMD_ARGS="--log-level info" shows them.
loglevel = "warning" if settings.log_level == "info" else settings.log_level
control_socket_disable = True  # gunicorn would open one in the home directory, one for all servers of a user
# `trusted_proxies` alone decides which proxies to trust; gunicorn itself trusts none.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}

with suppress(ValueError, OSError):  # macOS refuses what its own hard limit says
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


ENDING = signal.SIGINT, signal.SIGQUIT, signal.SIGTERM


class _NoAborts(logging.Filter):
    """Breaking a response off is how a failed answer ends over HTTP, no error of the server's."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], Aborted))


_log = logging.getLogger("gunicorn.error")
_log.filters[:] = [_NoAborts()]


def on_starting(arbiter: Any) -> None:
    if arbiter.cfg.settings["worker_class"].get() != worker_class:
        sys.exit(
            f"Millstream can't start with the worker class {arbiter.cfg.worker_class_str}: it has one of its own. "
            "Leave out -k (--worker-class), also in GUNICORN_CMD_ARGS"
        )
    _refuse_taken_ports(arbiter.cfg.address)
    os.environ["WEB_CONCURRENCY"] = str(arbiter.cfg.workers)  # the store wants to know, also after `gunicorn -w 4`
    _make_room_for_metrics(arbiter)
    os.register_at_fork(after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, ENDING))
    _import_application()
    prepare(settings)
    arbiter.handle_hup = partial(_reload, arbiter, arbiter.handle_hup)


def _make_room_for_metrics(arbiter: Any) -> None:
    """Create the folder of the metrics. The arbiter keeps it, because SIGHUP reads this file again."""
    arbiter.metrics_room = room = Room(worker_tmp_dir)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(room.path)
    atexit.register(_leave_room, room, os.getpid())


def _leave_room(room: Room, master: int) -> None:
    if os.getpid() == master:  # workers are forked with this, too
        room.leave()


def worker_exit(arbiter: Any, worker: Any) -> None:
    gc.freeze()  # Python looks for garbage once more when it exits
    arbiter.metrics_room.leave()


def on_exit(arbiter: Any) -> None:
    gc.freeze()


def child_exit(arbiter: Any, worker: Any) -> None:
    # Not at the top: the module looks for the directory when it is imported.
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # what it had open is not open any more


def _reload(arbiter: Any, handle_hup: Callable[[], None]) -> None:
    """A worker that can't start ends the whole server: a wrong setting must not get so far."""
    try:
        _read_settings()
    except SettingError as error:
        arbiter.log.error("Not reloaded: %s", located(error, config_path(os.environ)))
    else:
        handle_hup()


def pre_fork(arbiter: Any, worker: Any) -> None:
    """Hold signals back until the worker has handlers of its own.

    Until then it has the master's, whose queue nobody reads there. A signal would be lost, and the master would wait
    for this worker until `graceful_timeout`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def post_fork(arbiter: Any, worker: Any) -> None:
    for number in ENDING:
        signal.signal(number, lambda *_: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    gc.freeze()
    gc.disable()  # until the worker has imported the application
    arbiter.metrics_room.join()


def on_reload(arbiter: Any) -> None:
    gc.unfreeze()  # the modules that were forgotten can go now
    gc.collect()
    _import_application()
    prepare(settings)


def _import_application() -> None:
    """Once for all workers: they start with less work, and share its memory. Garbage collection would write to each
    object, and so give each process a copy of its own."""
    import millstream.application  # noqa: F401  # not at the top: metrics look for their room when they are imported

    gc.freeze()
    gc.enable()


def _refuse_taken_ports(addresses: list[Any]) -> None:
    """gunicorn itself tries for five seconds and then says less."""
    if "GUNICORN_FD" in os.environ or "LISTEN_FDS" in os.environ:
        return  # the sockets are handed down, by an older master or by systemd
    for address in addresses:
        if isinstance(address, tuple):
            _refuse_taken(*address)


LISTENING = {
    errno.EADDRINUSE: "End what listens there, or choose another port: PORT=8001",
    errno.EACCES: "Ports below 1024 are for root: choose another one, PORT=8000, and put a proxy in front",
    errno.EADDRNOTAVAIL: "HOST has to be an address of this machine: 127.0.0.1, or 0.0.0.0 for all that it has",
}


def _refuse_taken(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            advice = LISTENING.get(error.errno or 0, "HOST has to be an address or a name of this machine")
            sys.exit(f"Millstream can't listen on {host}:{port}: {error.strerror}. {advice}")


def post_worker_init(worker: Any) -> None:
    """Print the address for the browser when the first worker can answer."""
    if worker.age > 1:
        return
    name = worker.sockets[0].getsockname()
    host, port = name[:2] if isinstance(name, tuple) else (name, "")
    advice = warning(settings, host) if port else ""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)  # noqa: S104
    where = f"http://{host}:{port}/" if port else host
    print(f"Millstream: {where}" + (f" — {_model} answers" if _model else ""), flush=True)
    print(f"Millstream: {summary(settings)}", flush=True)
    if advice:
        print(f"Millstream: {advice}", flush=True)
