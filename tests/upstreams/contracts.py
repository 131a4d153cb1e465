"""How each adapter's server says things: one class each, so that one suite (test_contract.py) tries them all.

A new adapter: a class with its kind and its words, one line in DOORS.
"""

import json
from dataclasses import dataclass

from millstream.settings import Secret, Settings, UpstreamSettings
from millstream.upstreams.demo_text import TEXT, THOUGHT
from millstream.upstreams.router import build
from tests.upstreams import spark_server
from tests.upstreams.fake import CHUNKED, CLOSE, HOLD, LAST, WAIT, Fake, chunk, whole

KEY = "key-0123456789abcdef"


@dataclass
class Text:
    text: str


@dataclass
class Thought:
    text: str


@dataclass
class Refused:
    """The model says no, in words, and ends."""

    text: str


@dataclass
class End:
    """The usage is always 5 tokens in, 9 out."""


@dataclass
class Fail:
    """An error after the status 200."""


class Door:
    """`play` tells the server its next answer, of the things above, CLOSE and HOLD; `refuse` a status instead.
    `asked`, `said` and `left` are as Fake's."""

    kind = ""
    model = "m"
    key = KEY
    apis = ("chat", "openai", "completions")  # that it is asked through, by itself or with built frames
    refused = "stop"  # the finish_reason behind a refusal
    lacks = ()  # cases that it can't say
    opening = b""  # what comes before all else
    settings = {}

    def __init__(self):
        self.fake = Fake()

    def upstream(self):
        values = {"base_url": self.fake.address, "api_key": Secret(self.key), "connect": WAIT, **self.settings}
        return build(UpstreamSettings("door", self.kind, (self.model,), **values), Settings())

    def play(self, *steps, pieces=0):
        """`pieces`: so many bytes at a time."""
        said = [step if step in (CLOSE, HOLD) else self.encode(step) for step in steps]
        said = [self.opening, *said] if self.opening else said
        if pieces:
            data = b"".join(said)
            said = [data[at : at + pieces] for at in range(0, len(data), pieces)]
        self.fake.replies.append([CHUNKED, *(chunk(one) if isinstance(one, bytes) else one for one in said), LAST])

    def mute(self):
        """Not even a head."""
        self.fake.replies.append([HOLD])

    def refuse(self, status, message, *headers):
        body = json.dumps({"error": {"message": message}}).encode()
        self.fake.replies.append(whole(status, body, *headers))

    def encode(self, step):
        says = {Text: "text", Thought: "thought", Refused: "refusal"}
        if type(step) in says:
            return getattr(self, says[type(step)])(step.text)
        return self.error() if isinstance(step, Fail) else self.end()

    def texts(self, steps):
        """What is to come of them: answer, thoughts."""
        answer = "".join(step.text for step in steps if isinstance(step, Text | Refused))
        return answer, "".join(step.text for step in steps if isinstance(step, Thought))

    def __getattr__(self, name):  # asked, said, left
        return getattr(self.fake, name)

    def close(self):
        self.fake.close()


def data(value, event=""):
    named = f"event: {event}\n" if event else ""
    return f"{named}data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


class OpenAI(Door):
    kind = "openai"
    apis = ("chat", "openai")

    def choice(self, finish_reason=None, **delta):
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return data({"object": "chat.completion.chunk", "model": "m-1", "choices": [choice]})

    def text(self, text):
        return self.choice(content=text)

    def thought(self, text):
        return self.choice(reasoning_content=text)

    def refusal(self, text):
        return self.choice(refusal=text) + self.end()

    def end(self, finish_reason="stop"):
        usage = {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14}
        return self.choice(finish_reason) + data({"choices": [], "usage": usage}) + b"data: [DONE]\n\n"

    def error(self):
        return data({"error": {"message": "The server had an error", "type": "server_error"}})


class LlamaCpp(OpenAI):
    """As the local model's server says it."""

    opening = data({"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}], "model": "m-1"})

    def end(self, finish_reason="stop"):
        usage = {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14}
        last = data({"choices": [], "usage": usage, "timings": {"predicted_ms": 1.5}})
        return self.choice(finish_reason) + last + b"data: [DONE]\n\n"

    def error(self):
        return data({"error": {"code": 500, "message": "Out of memory", "type": "server_error"}})


class Completions(OpenAI):
    """The legacy API of a server that has both."""

    apis = ("completions",)
    lacks = ("reasoning",)

    def choice(self, finish_reason=None, content=""):
        choice = {"index": 0, "text": content, "finish_reason": finish_reason}
        return data({"object": "text_completion", "model": "m-1", "choices": [choice]})

    def refusal(self, text):
        return self.text(text) + self.end()


class Legacy(Completions):
    """One that has nothing else."""

    kind = "completions"
    apis = ("chat", "openai", "completions")


class Azure(OpenAI):
    kind = "azure"
    refused = "content_filter"
    opening = data({"choices": [], "id": "", "model": "", "object": "", "created": 0, "prompt_filter_results": []})

    def choice(self, finish_reason=None, **delta):
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        filtered = {"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}
        frames = data({"model": "m-1", "choices": [choice | filtered]})
        return frames + data({"choices": [{"index": 0, "content_filter_offsets": {}, **filtered}]})

    def refusal(self, text):
        return self.text(text) + self.choice("content_filter") + b"data: [DONE]\n\n"


class Anthropic(Door):
    kind = "anthropic"
    refused = "content_filter"
    opening = data(
        {"type": "message_start", "message": {"model": "m-1", "usage": {"input_tokens": 5, "output_tokens": 1}}},
        "message_start",
    ) + data({"type": "ping"}, "ping")

    def block(self, kind, name, text):
        start = {"type": "content_block_start", "index": 0, "content_block": {"type": kind, name: ""}}
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": f"{kind}_delta", name: text}}
        parts = start, delta, {"type": "content_block_stop", "index": 0}
        return b"".join(data(part, part["type"]) for part in parts)

    def text(self, text):
        return self.block("text", "text", text)

    def thought(self, text):
        return self.block("thinking", "thinking", text)

    def refusal(self, text):
        return self.text(text) + self.end("refusal")

    def end(self, stop_reason="end_turn"):
        usage = {"output_tokens": 9}
        delta = data(
            {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": usage}, "message_delta"
        )
        return delta + data({"type": "message_stop"}, "message_stop")

    def error(self):
        error = {"type": "api_error", "message": "Internal server error"}
        return data({"type": "error", "error": error}, "error")


class Ollama(Door):
    """A JSON object a line."""

    kind = "ollama"

    def line(self, done=False, **message):
        usage = {"done_reason": "stop", "prompt_eval_count": 5, "eval_count": 9} if done else {}
        return json.dumps({"model": "m-1", "message": message, "done": done, **usage}).encode() + b"\n"

    def text(self, text):
        return self.line(content=text)

    def thought(self, text):
        return self.line(content="", thinking=text)

    def refusal(self, text):
        return self.text(text) + self.end()

    def end(self):
        return self.line(done=True, content="")

    def error(self):
        return b'{"error":"out of memory"}\n'


class Responses(Door):
    kind = "responses"
    opening = data({"type": "response.created", "response": {"model": "m-1", "status": "in_progress"}})

    def delta(self, kind, text):
        type = f"response.{kind}.delta"
        return data({"type": type, "item_id": "i", "output_index": 0, "delta": text}, type)

    def text(self, text):
        return self.delta("output_text", text)

    def thought(self, text):
        return self.delta("reasoning_summary_text", text)

    def refusal(self, text):
        return self.delta("refusal", text) + self.end()

    def end(self):
        usage = {"input_tokens": 5, "output_tokens": 9, "total_tokens": 14}
        response = {"model": "m-1", "status": "completed", "output": [], "usage": usage}
        return data({"type": "response.completed", "response": response}, "response.completed")

    def error(self):
        return data({"type": "error", "code": "server_error", "message": "It broke"}, "error")


class Spark(Door):
    """Frames of a WebSocket; what `pieces` cuts is messages, into bytes."""

    kind = "spark"
    model = "4.0Ultra"
    key = spark_server.API_KEY
    refused = "content_filter"

    def __init__(self):
        self.fake = spark_server.SparkServer()
        self.settings = {"extra": dict(self.fake.settings().extra)}

    def play(self, *steps, pieces=0):
        words = {CLOSE: spark_server.CLOSE, HOLD: spark_server.HOLD}
        said = [one for step in steps for one in ([words[step]] if step in (CLOSE, HOLD) else self.encode(step))]
        cut = spark_server.fragments if pieces else lambda message: message
        self.fake.replies.append([cut(one) if isinstance(one, str) else one for one in said])

    def mute(self):
        self.fake._handshake = [spark_server.HOLD]

    def refuse(self, status, message, *headers):
        self.fake._handshake = [whole(status, json.dumps({"message": message}).encode(), *headers)]

    def text(self, text):
        return [spark_server.frame(text)]

    def thought(self, text):
        return [spark_server.frame(reasoning=text)]

    def refusal(self, text):
        return [spark_server.frame(text, usage=(5, 9)), spark_server.error(10019)]

    def end(self):
        return [spark_server.frame(status=2, usage=(5, 9))]

    def error(self):
        return [spark_server.error(10001)]


class Demo(Door):
    """Nobody is asked. Of each answer it gives as many tokens, in its own words."""

    kind = "demo"
    lacks = ("unicode", "refusal", "a megabyte")

    def __init__(self):
        self.extra = {}

    def upstream(self):
        return build(UpstreamSettings("door", self.kind, ("m",), extra={"pace": 0, **self.extra}), Settings())

    def play(self, *steps, pieces=0):
        tokens, thoughts = counted(steps)
        fault = "cut" if steps[-1] is CLOSE else "error" if isinstance(steps[-1], Fail) else ""
        self.extra = {"tokens": tokens, "reasoning": thoughts, "fault": fault, "after": tokens + thoughts}

    def refuse(self, status, message, *headers):
        self.extra = {"fault": "auth"}

    def texts(self, steps):
        tokens, thoughts = counted(steps)
        return "".join(TEXT[:tokens]), "".join(THOUGHT[:thoughts])

    def close(self):
        pass


def counted(steps):
    return sum(isinstance(step, Text) for step in steps), sum(isinstance(step, Thought) for step in steps)


DOORS = {
    "anthropic": Anthropic,
    "azure": Azure,
    "completions": Completions,
    "demo": Demo,
    "legacy": Legacy,
    "llama.cpp": LlamaCpp,
    "ollama": Ollama,
    "openai": OpenAI,
    "responses": Responses,
    "spark": Spark,
}
CONNECTED = {name: door for name, door in DOORS.items() if door is not Demo}
