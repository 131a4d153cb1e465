"""Spark as it is seen from outside, with faults to switch on: checks the signature and the question as the real one
does. Its WebSocket is written down anew here, so that it shares no mistake with ours."""

import base64
import hashlib
import hmac
import json
import re
import socket
import ssl
import struct
import time
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from threading import Event, Thread
from urllib.parse import parse_qs, urlsplit

from millstream.settings import Secret, UpstreamSettings

PEM = Path(__file__).parent / "loopback.pem"  # certificate and key for 127.0.0.1, of no use anywhere else
WAIT = 30.0  # s; only a broken test waits so long
APP_ID, API_KEY, API_SECRET = "5f1c2d3e", "0a1b2c3d4e5f60718293a4b5c6d7e8f9", "MjlmNzkzNmZkMDQ2OTc0ZDdmNGE2ZTZi"

# path → domain, most max_tokens, highest temperature
PATHS = {
    "/v1.1/chat": ("lite", 4096, 1),
    "/v2.1/chat": ("generalv2", 8192, 1),
    "/v3.1/chat": ("generalv3", 8192, 1),
    "/chat/pro-128k": ("pro-128k", 4096, 1),
    "/v3.5/chat": ("generalv3.5", 8192, 1),
    "/chat/max-32k": ("max-32k", 8192, 1),
    "/v4.0/chat": ("4.0Ultra", 8192, 1),
    "/v1/x1": ("spark-x", 32768, 2),
    "/x2": ("spark-x", 32768, 2),
}
BAD_DATE = "HMAC signature cannot be verified, a valid date or x-date header is required for HMAC Authentication"
WITHOUT_SYSTEM = ("lite", "generalv2", "generalv3", "pro-128k")

CLOSE = object()  # in a reply: closes the connection, with no word
BYE = object()  # in a reply: a close frame
HOLD = object()  # in a reply: waits until the client has gone
RESET = object()  # in a reply: breaks the connection off


def frame(text="", status=1, reasoning=None, usage=None, **choice):
    """A frame of an answer, as JSON."""
    said = {"content": text, "role": "assistant", "index": 0, **choice}
    if reasoning is not None:
        said["reasoning_content"] = reasoning
    payload = {"choices": {"status": status, "seq": 0, "text": [said]}}
    if usage:
        tokens = {"question_tokens": 1, "prompt_tokens": usage[0], "completion_tokens": usage[1]}
        payload["usage"] = {"text": {**tokens, "total_tokens": sum(usage)}}
    header = {"code": 0, "message": "Success", "sid": "cht000@dx", "status": status}
    return json.dumps({"header": header, "payload": payload}, ensure_ascii=False)


def error(code, message="SomeError"):
    return json.dumps({"header": {"code": code, "message": message, "sid": "cht000@dx", "status": 2}})


def answer(*texts, usage=(5, 9)):
    """The frames of a whole answer."""
    frames = [frame(text, 1 if n else 0) for n, text in enumerate(texts)]
    return [*frames, frame("", 2, usage=usage)]


def obey(question):
    """The frames of a model that calls the function it is given, and tells what that gave."""
    said = question["payload"]["message"]["text"][-1]["content"].rpartition("gave: ")
    if said[1]:
        return answer("It says ", said[2])
    if functions := question["payload"].get("functions"):
        called = {"name": functions["text"][0]["name"], "arguments": '{"city":"Paris"}'}
        return [frame("", 2, usage=(5, 9), function_call=called)]
    return answer("Suddenly ", "a stream")


def wire(data, opcode=1, fin=True):
    """One WebSocket frame of a server."""
    data = data.encode() if isinstance(data, str) else data
    head = bytes([(0x80 if fin else 0) | opcode])
    if len(data) < 126:
        return head + bytes([len(data)]) + data
    if len(data) < 65536:
        return head + struct.pack(">BH", 126, len(data)) + data
    return head + struct.pack(">BQ", 127, len(data)) + data


def fragments(message, opcode=1, ping=False):
    """One message in frames of one byte each, with pings between them."""
    data = message.encode()
    out = b""
    for at in range(len(data)):
        out += wire(data[at : at + 1], 0 if at else opcode, at == len(data) - 1)
        out += wire(b"are you there", 9) if ping and at % 7 == 0 else b""
    return out


class Refusal(Exception):
    """An answer to the upgrade that is none: status and message."""


class SparkServer:
    """Answers one question after the other with `replies`; when they are used up, with the last. Each is a list of
    str (a message), bytes (as they are), float (seconds to wait) and the words above, or a function of the question
    that gives such a list.

    `handshake` is said instead of the upgrade, or what it makes of the request's first line; `skew` is how many
    seconds its clock is ahead.
    """

    def __init__(self, *replies, tls=False, mute=False, handshake=None, skew=0.0):
        self.replies = list(replies)
        self.questions = []
        self.refused = []  # handshakes, by their message
        self.pongs = 0
        self.asked = Event()  # a question has come, or with `mute` a connection
        self.said = Event()  # a HOLD was reached
        self.left = Event()  # a client has gone
        self._mute, self._handshake, self._skew = mute, handshake, skew
        self._context = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(PEM)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.address = f"ws{'s' if tls else ''}://{self.host}"
        Thread(target=self._accept, daemon=True).start()

    def settings(self, models=("4.0Ultra",), **values):
        extra = {"app_id": APP_ID, "api_secret": Secret(API_SECRET), **values.pop("extra", {})}
        if self._context:
            extra.setdefault("ca_file", str(PEM))
        given = {"base_url": self.address, "api_key": Secret(API_KEY), "connect": WAIT, **values}
        return UpstreamSettings("spark", "spark", models, extra=extra, **given)

    @property
    def table(self):
        """The same, as a table of the settings file."""
        keys = {"app_id": APP_ID, "api_key": API_KEY, "api_secret": API_SECRET}
        return {"kind": "spark", "base_url": self.address, "models": ["4.0Ultra"], **keys}

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            sock.settimeout(WAIT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._mute:
                self.asked.set()
                self._until_it_leaves(sock)
                return
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            stream = sock.makefile("rb")
            if (path := self._upgrade(sock, stream)) is None:
                return
            question = self._question(sock, stream)
            code, message = check(path, question)
            self.questions.append(question)
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            self.asked.set()
            if code:
                reply = [error(code, message)]
            self._say(sock, reply(question) if callable(reply) else reply)
        except (OSError, EOFError):
            self.left.set()
        finally:
            sock.close()

    def _say(self, sock, parts):
        for part in parts:
            if part is CLOSE:
                return
            if part is RESET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return
            if part is HOLD:
                self.said.set()
                self._until_it_leaves(sock)
                return
            if isinstance(part, float):
                time.sleep(part)
                continue
            if part is BYE:
                part = wire(struct.pack(">H", 1000), 8)
            sock.sendall(part if isinstance(part, bytes) else wire(part))
        self._until_it_leaves(sock)  # the real one closes; it must not matter

    def _until_it_leaves(self, sock):
        try:
            while data := sock.recv(65536):
                self.pongs += data.count(b"\x8a")
        except TimeoutError:
            return
        except OSError:
            pass
        self.left.set()

    # -- the handshake ------------------------------------------------------------------------------------------

    def _upgrade(self, sock, stream):
        """The path, if the request was in order."""
        line = stream.readline().decode()
        headers = {}
        while (header := stream.readline().decode()) not in ("\r\n", ""):
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        if not headers:
            raise EOFError
        if self._handshake is not None:
            self.asked.set()
            self._say(sock, self._handshake(line) if callable(self._handshake) else self._handshake)
            return None
        path = urlsplit(line.split()[1])
        try:
            self._verify(line.split()[0], path, headers)
        except Refusal as refusal:
            status, message = refusal.args
            self.refused.append(message)
            sock.sendall(self.refusal(status, message))
            return None
        accept = base64.b64encode(
            hashlib.sha1(headers["sec-websocket-key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        )
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        return path.path

    def refusal(self, status, message):
        body = json.dumps({"message": message}).encode()
        date = formatdate(time.time() + self._skew, usegmt=True)
        return (
            f"HTTP/1.1 {status} Refused\r\nDate: {date}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def _verify(self, method, address, headers):
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if address.path not in PATHS:
            raise Refusal(404, "no Route matched with those values")
        if "authorization" not in query:
            raise Refusal(401, "Unauthorized")
        try:
            off = abs(parsedate_to_datetime(query.get("date", "")).timestamp() - time.time() - self._skew)
        except ValueError:
            off = 9999
        if off > 300:
            raise Refusal(403, BAD_DATE)
        says = dict(re.findall(r'([\w-]+)="([^"]*)"', base64.b64decode(query["authorization"]).decode()))
        known = says.get("api_key") == API_KEY and says.get("algorithm") == "hmac-sha256"
        if not known or says.get("headers") != "host date request-line" or query.get("host") != headers["host"]:
            raise Refusal(401, "HMAC signature cannot be verified")
        signed = f"host: {headers['host']}\ndate: {query['date']}\n{method} {address.path} HTTP/1.1"
        digest = hmac.new(API_SECRET.encode(), signed.encode(), hashlib.sha256).digest()
        if base64.b64encode(digest).decode() != says.get("signature"):
            raise Refusal(401, "HMAC signature does not match")

    # -- the question -------------------------------------------------------------------------------------------

    def _question(self, sock, stream):
        while True:
            opcode, data = self._frame(stream)
            if opcode == 1:
                return json.loads(data)
            if opcode == 8:
                raise EOFError

    @staticmethod
    def _frame(stream):
        head = stream.read(2)
        if len(head) < 2:
            raise EOFError
        assert head[0] & 0x80 and head[1] & 0x80, "a client's frames are masked"
        length = head[1] & 0x7F
        if length > 125:
            length = int.from_bytes(stream.read(2 if length == 126 else 8), "big")
        mask = stream.read(4)
        data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(stream.read(length)))
        return head[0] & 0x0F, data


def check(path, question):
    """The code and message for a question that is not in order; 0 if it is."""
    domain, most, hottest = PATHS[path]
    header, chat = question["header"], question["parameter"]["chat"]
    if header.get("app_id") != APP_ID:
        return 11200, "AppIdNoAuthError:(auth check failed, not found in cache)"
    if len(header.get("uid", "")) > 32:
        return 10004, "WrapperInitErr: the length of $.header.uid is more than 32"
    if chat["domain"] != domain:
        return 10404, "route error"
    ranges = {"temperature": (1e-9, hottest), "max_tokens": (1, most), "top_k": (1, 6)}
    for name, (low, high) in ranges.items():
        if not low <= chat.get(name, low) <= high:
            return 10005, f"{name} is out of range"
    messages = question["payload"]["message"]["text"]
    roles = [message["role"] for message in messages]
    if roles[:1] == ["system"] and domain not in WITHOUT_SYSTEM:
        roles = roles[1:]
    turns = ["assistant" if n % 2 else "user" for n in range(len(roles))]
    if not roles or roles != turns or roles[-1] != "user" or not all(message["content"] for message in messages):
        return 10003, "the messages are in no order"
    return 0, ""
