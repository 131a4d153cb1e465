"""A way through an HTTP proxy: https://www.rfc-editor.org/rfc/rfc9110#name-connect"""

from __future__ import annotations

import base64
import socket
import time

LONGEST = 65536  # bytes of the proxy's answer


def tunnel(sock: socket.socket, hostname: str, port: int, password: str, deadline: float) -> None:
    """Ask the proxy at the other end of `sock` to connect to the server. `password` is `user:password`, or "".

    Raises OSError: ConnectionRefusedError if the proxy refuses, TimeoutError at the deadline (time.monotonic).
    """
    address = f"[{hostname}]:{port}" if ":" in hostname else f"{hostname}:{port}"
    lines = [f"CONNECT {address} HTTP/1.1", f"Host: {address}"]
    if password:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(password.encode()).decode()}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        sock.settimeout(max(deadline - time.monotonic(), 0.001))
        more = sock.recv(1)  # read byte by byte: data after the head belongs to the server
        if not more or len(head) > LONGEST:
            raise ConnectionRefusedError("its proxy did not answer as an HTTP proxy does")
        head += more
    status = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")[2]
    if not status.startswith("2"):
        raise ConnectionRefusedError(f"its proxy answered {status[:80]!r}; check its proxy")
