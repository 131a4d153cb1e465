"""A WebSocket to an upstream, read as it comes: https://www.rfc-editor.org/rfc/rfc6455"""

from __future__ import annotations

import contextlib
import socket
import ssl

from wsproto import WSConnection
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import RemoteProtocolError

from millstream.sockets.connector import left

SIZE = 65536  # bytes of one read
LONGEST = 16 << 20  # characters or bytes of a message
ERROR_BODY = 65536  # bytes to read of a refusal's body


class Refused(Exception):
    """The server answered the upgrade with another status than 101."""

    def __init__(self, status: int, headers: list[tuple[str, str]]) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers
        self.body = b""


class Connection:
    """An open connection. Whoever has it must `close` it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._parts: list[str | bytes] = []  # of an incomplete message
        self._length = 0
        self._broken = ""
        self._ended = False

    def upgrade(self, host: str, target: str, deadline: float) -> None:
        """Upgrade the connection. Raises Refused, OSError, and ValueError if the server speaks no WebSocket."""
        self._sock.sendall(self._protocol.send(Request(host, target, extra_headers=[(b"User-Agent", b"Millstream")])))
        refused: Refused | None = None
        while True:
            for event in self._protocol.events():
                if isinstance(event, AcceptConnection):
                    self._sock.settimeout(None)  # other code watches the deadlines
                    return
                if isinstance(event, RejectConnection):
                    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
                    refused = Refused(event.status_code, headers)
                elif isinstance(event, RejectData) and refused is not None:
                    refused.body += event.data
            over = self._protocol.state is ConnectionState.CLOSED
            if refused is not None and (over or len(refused.body) >= ERROR_BODY or not self._more(deadline)):
                raise refused
            if refused is None:
                self._await(deadline)

    def send(self, message: str) -> None:
        """Send a text message. Raises OSError."""
        self._sock.sendall(self._protocol.send(Message(message)))

    def receive(self) -> list[str | bytes]:
        """The messages that one read has made whole; waits for the first; none at the connection's end.

        Raises ValueError for what is no WebSocket, after what came before it.
        """
        messages = self._messages()  # what came with the handshake
        while not (messages or self._ended):
            self._take(self._read())
            messages = self._messages()
        if self._broken and not messages:
            raise ValueError(self._broken)
        return messages

    def close(self) -> None:
        """Close the connection at once, even if a greenlet is reading. Never waits."""
        if self._protocol.state is ConnectionState.OPEN:
            with contextlib.suppress(OSError):
                self._sock.settimeout(0)
                self._sock.send(self._protocol.send(CloseConnection(1000)))
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _messages(self) -> list[str | bytes]:
        whole: list[str | bytes] = []
        for event in self._protocol.events():
            if isinstance(event, TextMessage | BytesMessage):
                self._parts.append(event.data if isinstance(event, TextMessage) else bytes(event.data))
                self._length += len(event.data) + 1  # an empty part takes memory, too
                if event.message_finished:
                    whole.append(self._whole())
            elif isinstance(event, Ping):
                self._reply(event.response())
            elif isinstance(event, CloseConnection):
                self._ended = True
                if self._protocol.state is ConnectionState.OPEN:  # wsproto found an error; the peer did not close
                    self._broken = event.reason or "bad frames"
                else:
                    self._reply(event.response())  # RFC 6455, 5.5.1
        if self._length > LONGEST:
            self._ended, self._broken = True, f"a message is longer than {LONGEST} bytes"
        return whole

    def _reply(self, event: Pong | CloseConnection) -> None:
        with contextlib.suppress(OSError):  # the next read reports the error
            self._sock.sendall(self._protocol.send(event))

    def _whole(self) -> str | bytes:
        parts, self._parts, self._length = self._parts, [], 0
        if len(parts) == 1:
            return parts[0]
        return b"".join(part if isinstance(part, bytes) else part.encode() for part in parts)

    def _read(self) -> bytes:
        try:
            data = self._sock.recv(SIZE)
            # Bytes that TLS has already decrypted don't make the socket readable.
            if data and isinstance(self._sock, ssl.SSLSocket) and (more := self._sock.pending()):
                data += self._sock.recv(more)
        except OSError:  # a reset or an error of TLS: treat both as the end
            return b""
        return data

    def _take(self, data: bytes) -> None:
        if data:
            self._protocol.receive_data(data)
        else:
            self._ended = True

    def _await(self, deadline: float) -> None:
        """Read more of the response's head."""
        self._sock.settimeout(left(deadline))
        data = self._sock.recv(SIZE)
        if not data:
            raise ConnectionError("closed before it answered")
        try:
            self._protocol.receive_data(data)
        except RemoteProtocolError as error:
            raise ValueError(str(error)) from error

    def _more(self, deadline: float) -> bool:
        """Read more of a refusal's body. If it never arrives, the status says enough."""
        try:
            self._await(deadline)
        except (OSError, ValueError):
            return False
        return True
