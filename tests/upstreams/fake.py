"""An upstream made of a raw socket: says exactly the bytes it was given, and sees what its client does."""

import socket
import ssl
from pathlib import Path
from threading import Event, Semaphore, Thread

import pytest

from millstream.errors import UpstreamError
from millstream.settings import Secret, UpstreamSettings
from tests.calling import calling

PEM = Path(__file__).parent / "loopback.pem"  # certificate and key for 127.0.0.1, of no use anywhere else
WAIT = 30.0  # s; only a broken test waits so long

CLOSE = object()  # in a reply: closes the connection
HOLD = object()  # in a reply: waits until the client has gone
RESET = object()  # in a reply: breaks the connection off


class Fake:
    """Answers one request after the other with `replies`, each bytes or a list of bytes and the words above."""

    def __init__(self, *replies, tls=False, mute=False):
        self.replies = list(replies)
        self.models = whole("404 Not Found")  # what a GET gets
        self.requests = []
        self.listed = []  # requests for the list of models
        self.connections = 0
        self.asked = Event()  # a request has come, or with `mute` a connection
        self.said = Event()  # a HOLD was reached
        self.left = Event()  # the client has closed a connection
        self.over = Semaphore(0)  # once for each reply that has been sent whole
        self._mute = mute
        self._context = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(PEM)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http{'s' if tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        Thread(target=self._accept, daemon=True).start()

    def settings(self, key="", **values):
        values.setdefault("extra", {"ca_file": str(PEM)} if self._context else {})
        return UpstreamSettings(
            "fake", "openai", ("m",), base_url=self.address, api_key=Secret(key), connect=WAIT, **values
        )

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            sock.settimeout(WAIT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._mute:
                self.asked.set()
                self._until_it_leaves(sock)
            elif self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            while self._answer(sock):
                pass
        except OSError:
            pass
        finally:
            sock.close()

    def _answer(self, sock):
        request = self._request(sock)
        if not request:
            self.left.set()
            return False
        if request.startswith(b"GET "):
            self.listed.append(request)
            sock.sendall(self.models)
            return True
        self.requests.append(request)
        reply = self.replies.pop(0)
        self.asked.set()
        for part in reply if isinstance(reply, list) else [reply]:
            if part is CLOSE:
                return False
            if part is RESET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return False
            if part is HOLD:
                self.said.set()
                self._until_it_leaves(sock)
                return False
            sock.sendall(part)
        self.over.release()
        return True

    def _until_it_leaves(self, sock):
        try:
            while sock.recv(65536):
                pass
        except TimeoutError:
            return
        except OSError:
            pass
        self.left.set()

    def _request(self, sock):
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                return b""
            data += more
        if data.startswith(b"GET "):
            return data
        length = int(data.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(data.partition(b"\r\n\r\n")[2]) < length:
            data += sock.recv(65536)
        return data


def head(status="200 OK", *headers, version="1.1"):
    lines = [f"HTTP/{version} {status}", "Content-Type: text/event-stream", *headers, "", ""]
    return "\r\n".join(lines).encode()


def whole(status="200 OK", body=b"", *headers):
    return head(status, f"Content-Length: {len(body)}", *headers) + body


def event(text):
    return b'data: {"model":"m-1","choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % text.encode()


END = (
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    b"data: [DONE]\n\n"
)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = head("200 OK", "Transfer-Encoding: chunked")
LAST = b"0\r\n\r\n"
ANSWER = CHUNKED + chunk(event("Hel")) + chunk(event("lo")) + chunk(END) + LAST


SAID = [{"role": "user", "content": "Hi"}]
CALL = calling("m", SAID, {"temperature": 0.5})


def failure(upstream):
    """The error that a call ends with."""
    with pytest.raises(UpstreamError) as caught:
        list(upstream.stream(CALL))
    return caught.value
