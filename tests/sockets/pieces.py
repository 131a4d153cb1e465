"""A socket made of the bytes that come, in the pieces given."""

import base64
import hashlib

from millstream.sockets.websocket import Connection


class Pieces:
    """A socket on which these pieces come behind the handshake."""

    def __init__(self, pieces):
        self.pieces = list(pieces)
        self.sent = b""

    def sendall(self, data):
        if data.startswith(b"GET "):
            key = data.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            head = b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
            self.pieces[0] = head % accept + self.pieces[0]
        else:
            self.sent += data

    def recv(self, size):
        return self.pieces.pop(0) if self.pieces else b""

    def settimeout(self, seconds):
        pass


def receive(pieces):
    connection = Connection(Pieces(pieces))
    connection.upgrade("h", "/", 0.0)
    while messages := connection.receive():
        yield messages


def cut(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]
