"""A question in neutral terms: what each dialect reads from a client's body and writes for an upstream."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Role = Literal["system", "developer", "user", "assistant", "tool"]


class Text(Struct, frozen=True, tag="text", tag_field="type"):
    text: str


class Image(Struct, frozen=True, omit_defaults=True, tag="image", tag_field="type"):
    """`url` is http(s): or data: with base64. `detail` is OpenAI's hint: low, high, auto."""

    url: str
    detail: str | None = None


class File(Struct, frozen=True, omit_defaults=True, tag="file", tag_field="type"):
    """A document; `url` as in Image."""

    url: str
    name: str = ""


class Audio(Struct, frozen=True, tag="audio", tag_field="type"):
    """`data` is base64; `format` is wav, mp3 …"""

    data: str
    format: str


class ToolCall(Struct, frozen=True, omit_defaults=True, tag="call", tag_field="type"):
    """A call that the model made. `arguments` is JSON text, or free text where the tool is `custom`."""

    id: str
    name: str
    arguments: str
    custom: bool = False


class Result(Struct, frozen=True, omit_defaults=True, tag="result", tag_field="type"):
    """A tool's answer to the call with this id."""

    call: str
    parts: tuple[Text | Image | File, ...]
    error: bool = False
    name: str = ""


class Thought(Struct, frozen=True, omit_defaults=True, tag="thought", tag_field="type"):
    """The model's earlier thoughts. `signature` is opaque, goes back byte for byte, and only to the dialect that
    made it, which `origin` names. A `redacted` thought has no text, and its data in `signature`."""

    text: str
    signature: str = ""
    origin: str = ""
    redacted: bool = False


Part = Text | Image | File | Audio | ToolCall | Result | Thought


class Message(Struct, frozen=True, omit_defaults=True):
    """Results stand in messages of role "tool", calls and thoughts in those of role "assistant"."""

    role: Role
    parts: tuple[Part, ...]
    name: str = ""

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class Tool(Struct, frozen=True, omit_defaults=True):
    """A function that the client offers. `parameters` is a JSON schema. A `custom` one takes free text; `grammar` is
    OpenAI's `format` of it, as it came."""

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    custom: bool = False
    grammar: dict[str, Any] | None = None


class ToolChoice(Struct, frozen=True, omit_defaults=True):
    """`name` only with "tool"."""

    mode: Literal["auto", "none", "required", "tool"] = "auto"
    name: str = ""


class Shape(Struct, frozen=True, omit_defaults=True):
    """The form that the answer's text must have; `schema` only with "json_schema"."""

    kind: Literal["json_object", "json_schema"]
    schema: dict[str, Any] | None = None
    name: str = ""
    strict: bool | None = None


class Options(Struct, frozen=True, omit_defaults=True):
    """The options that most dialects share. None or empty: not said. `effort` is a hint (none, minimal, low, medium,
    high …), `thinking` a budget in tokens; both are never refused."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    shape: Shape | None = None
    effort: str | None = None
    thinking: int | None = None
    parallel: bool | None = None


class Question(Struct, frozen=True):
    """`body` is the client's own, as it came, and `dialect` the one that it is written in. An upstream of the same
    dialect gets it with only the model, the length and the wish for usage changed. `beyond` names the fields
    of the body that have no neutral words: only such an upstream can be asked for them. A `bare` one is a prompt that
    no template is put around."""

    model: str
    messages: tuple[Message, ...]
    options: Options = Options()
    tools: tuple[Tool, ...] = ()
    choice: ToolChoice = ToolChoice()
    stream: bool = True
    dialect: str = ""
    body: dict[str, Any] = {}
    beyond: tuple[str, ...] = ()
    bare: bool = False

    def is_in(self, *dialects: str) -> bool:
        """Return True if the body is written in one of these dialects, so that it may go on as it came."""
        return self.dialect in dialects
