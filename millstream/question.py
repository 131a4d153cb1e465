"""A question in neutral terms. Each dialect reads it from a client's body and writes it for an upstream."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from msgspec.json import decode

# A custom tool's free text becomes this argument where the upstream has functions only.
FREE = "input"
Role = Literal["system", "developer", "user", "assistant", "tool"]


class Text(Struct, frozen=True, tag="text", tag_field="type"):
    text: str


class Image(Struct, frozen=True, omit_defaults=True, tag="image", tag_field="type"):
    """An image; `url` is http(s): or data: with base64. `detail` is OpenAI's hint: low, high, auto."""

    url: str
    detail: str | None = None


class File(Struct, frozen=True, omit_defaults=True, tag="file", tag_field="type"):
    """A document; `url` as in Image."""

    url: str
    name: str = ""


class Audio(Struct, frozen=True, tag="audio", tag_field="type"):
    """A sound; `data` is base64, `format` is wav, mp3 …"""

    data: str
    format: str


class ToolCall(Struct, frozen=True, omit_defaults=True, tag="call", tag_field="type"):
    """A call that the model made. `arguments` is JSON text, or free text where the tool is `custom`."""

    id: str
    name: str
    arguments: str
    custom: bool = False

    def read(self) -> dict[str, Any]:
        """The arguments as an object, for dialects that don't write them as text."""
        try:
            found = None if self.custom else decode(self.arguments or "{}")
        except (ValueError, RecursionError):
            found = None
        return found if isinstance(found, dict) else {FREE: self.arguments}


class Result(Struct, frozen=True, omit_defaults=True, tag="result", tag_field="type"):
    """A tool's answer to the call with this id."""

    call: str
    parts: tuple[Text | Image | File, ...]
    error: bool = False
    name: str = ""

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def told(self) -> str:
        """The same in a dialect that has no other word for an error."""
        return f"Error: {self.text}" if self.error else self.text


class Thought(Struct, frozen=True, omit_defaults=True, tag="thought", tag_field="type"):
    """An earlier thought of the model. The opaque `signature` is sent back byte for byte, but only to the dialect
    that made it (`origin`). A `redacted` thought has no text; its data is in `signature`."""

    text: str
    signature: str = ""
    origin: str = ""
    redacted: bool = False


Part = Text | Image | File | Audio | ToolCall | Result | Thought


class Message(Struct, frozen=True, omit_defaults=True):
    """A message. Role "tool" holds results; role "assistant" holds calls and thoughts."""

    role: Role
    parts: tuple[Part, ...]
    name: str = ""

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class Tool(Struct, frozen=True, omit_defaults=True):
    """A function that the client offers. `parameters` is a JSON schema. A `custom` tool takes free text; `grammar` is
    OpenAI's field `format`, unchanged."""

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    custom: bool = False
    grammar: dict[str, Any] | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """Return the schema of the arguments, for an upstream that supports functions only."""
        if self.custom:
            return {"type": "object", "properties": {FREE: {"type": "string"}}, "required": [FREE]}
        return self.parameters or {"type": "object", "properties": {}}

    @property
    def described(self) -> dict[str, str]:
        """Name and description, if there is one."""
        return {"name": self.name, **({"description": self.description} if self.description else {})}


class ToolChoice(Struct, frozen=True, omit_defaults=True):
    """The tools that the model may or must call; `name` is set only with "tool"."""

    mode: Literal["auto", "none", "required", "tool"] = "auto"
    name: str = ""


class Shape(Struct, frozen=True, omit_defaults=True):
    """The format that the answer's text must have; `schema` is set only with "json_schema"."""

    kind: Literal["json_object", "json_schema"]
    schema: dict[str, Any] | None = None
    name: str = ""
    strict: bool | None = None


class Options(Struct, frozen=True, omit_defaults=True):
    """The options that most dialects share. None or empty means that the client did not set it. `effort` is a hint
    (none, minimal, low, medium, high …), `thinking` a budget in tokens; neither is ever refused."""

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
    """A question. `body` is the client's original body, written in `dialect`.

    An upstream of the same dialect gets `body` with only the model, the length and the wish for usage changed.
    `beyond` names fields of the body without a neutral form; only such an upstream supports them. A `bare` question
    is a plain prompt, without a chat template.
    """

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
