"""A TCP proxy that keeps what a server says to its clients, so that a test sees what an SDK hides."""

from __future__ import annotations

import socket
import threading

DEADLINE = 60.0  # s


class Tap:
    """`with Tap(port) as tap:` listens on tap.port; `wait_for` waits until something has come through."""

    def __init__(self, port: int) -> None:
        self._backend = port
        self._said = b""
        self._more = threading.Condition()

    def __enter__(self) -> Tap:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def wait_for(self, what: bytes, times: int) -> bool:
        with self._more:
            return self._more.wait_for(lambda: self._said.count(what) >= times, DEADLINE)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._backend))
            threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, keep: bool) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
                if keep:
                    with self._more:
                        self._said += data
                        self._more.notify_all()
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of the two has left
        finally:
            if keep:
                source.close()
                sink.close()
