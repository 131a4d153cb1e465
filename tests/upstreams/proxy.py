"""An HTTP proxy: https://www.rfc-editor.org/rfc/rfc9110#name-connect"""

import base64
import socket
from threading import Thread
from urllib.parse import urlsplit

from tests.system.readable import readable
from tests.upstreams.fake import WAIT


class Proxy:
    """Passes everything on, to who has the right password, if it was given one."""

    def __init__(self, password=""):
        self.asked = []  # the first line of each request
        self._token = base64.b64encode(f"us@r:{password}".encode()) if password else b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        user = f"us%40r:{password}@" if password else ""
        self.port = self._listener.getsockname()[1]
        self.address = f"http://{user}127.0.0.1:{self.port}"
        Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, client):
        with client:
            client.settimeout(WAIT)
            data = b""
            while b"\r\n\r\n" not in data:
                if not (more := client.recv(65536)):
                    return
                data += more
            line, _, rest = data.partition(b"\r\n")
            self.asked.append(line.decode())
            method, target, _ = line.decode().split()
            if self._token not in data:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            to = urlsplit(f"//{target}" if method == "CONNECT" else target)
            with socket.create_connection((to.hostname, to.port), WAIT) as server:
                if method == "CONNECT":
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    server.sendall(f"{method} {to.path} HTTP/1.1\r\n".encode() + rest)
                _pass_on(client, server)


def _pass_on(client, server):
    """Until one of them closes."""
    while True:
        for one in readable(client, server, seconds=WAIT):
            try:
                data = one.recv(65536)
                if not data:
                    return
                (server if one is client else client).sendall(data)
            except OSError:
                return
