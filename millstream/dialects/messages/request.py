"""A question → the body of POST /v1/messages: https://docs.claude.com/en/api/messages"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from millstream.dialects.abilities import Abilities, check
from millstream.dialects.fields import DATA_URL
from millstream.dialects.foreign import Object, string, table
from millstream.dialects.messages.question import NAME
from millstream.dialects.signatures import is_foreign
from millstream.errors import RequestError
from millstream.question import File, Image, Message, Part, Question, Result, Text, Thought, Tool, ToolCall

ABILITIES = Abilities(json_object=False)
CHOICES = {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}
ABOVE = ("system", "developer")  # these go into `system`
# These models hide their thinking unless the request asks for it.
ADAPTIVE: Object = {"type": "adaptive", "display": "summarized"}
LEAST_BUDGET = 1024  # tokens of thinking that the API takes
# An effort in the API's words, in tokens for models that want a budget, and its share of the operator's budget.
EFFORTS = {
    "minimal": ("low", LEAST_BUDGET, 0.25),
    "low": ("low", LEAST_BUDGET, 0.25),
    "medium": ("medium", 4096, 0.5),
    "high": ("high", 8192, 1.0),
    "xhigh": ("xhigh", 16384, 1.0),
    "max": ("max", 16384, 1.0),
}


def write(question: Question, max_tokens: int, thinking: Object | None) -> Object:
    """`max_tokens` where nobody asked for another number; `thinking` is the operator's, None for as the client says.
    Raises RequestError (bad_field)."""
    if question.is_in(NAME):
        most = question.options.max_tokens
        return {**_own(question), "model": question.model, "stream": True, **({"max_tokens": most} if most else {})}
    check(question, ABILITIES)
    use = question.options
    asked: Object = {"model": question.model, "messages": _turns(question.messages), "stream": True}
    if system := "\n\n".join(said for one in question.messages if one.role in ABOVE and (said := one.text.strip())):
        asked["system"] = system
    if question.tools:
        asked["tools"] = [_tool(tool) for tool in question.tools]
        asked["tool_choice"] = _choice(question)
    output: Object = {}
    if thinking != {}:
        thinking, output = _effort(use.effort, thinking or {})
    if _forbids_thinking(question):
        thinking = {}
    most = max_tokens if use.max_tokens is None else use.max_tokens
    asked["max_tokens"] = most + thinking.get("budget_tokens", 0)
    if use.stop:
        asked["stop_sequences"] = list(use.stop)
    if use.shape is not None:
        output["format"] = {"type": "json_schema", "schema": use.shape.schema or {}}
    if output:
        asked["output_config"] = output
    if thinking:  # and then the API takes no temperature, top_p and top_k
        return {**asked, "thinking": thinking}
    sampling = {"temperature": use.temperature, "top_p": use.top_p, "top_k": use.top_k}
    asked |= {name: value for name, value in sampling.items() if value is not None}
    if "temperature" in asked:  # OpenAI's goes up to 2
        asked["temperature"] = min(max(asked["temperature"], 0), 1)
    return asked


def _own(question: Question) -> Object:
    """The body as it came, without the thoughts of other models, which Anthropic refuses. In an open loop of tools
    it thinks only where its own stand before the call."""
    body = question.body
    turns = [_without_foreign(turn) for turn in body["messages"]]
    if turns == body["messages"]:
        return body
    body = {**body, "messages": [turn for turn in turns if turn.get("content") != []]}
    off = ("thinking", "context_management") if _forbids_thinking(question) else ()
    return {name: value for name, value in body.items() if name not in off}


def _without_foreign(turn: Object) -> Object:
    content = turn.get("content")
    if turn.get("role") != "assistant" or not isinstance(content, list):
        return turn
    return {**turn, "content": [block for block in content if not _is_foreign(block)]}


def _is_foreign(block: Object) -> bool:
    signature = {"thinking": "signature", "redacted_thinking": "data"}.get(block.get("type", ""))
    return signature is not None and is_foreign(block.get(signature))


def _effort(effort: str | None, thinking: Object) -> tuple[Object, Object]:
    """`thinking` and `output_config`."""
    if effort == "none":
        return {}, {}
    if effort not in EFFORTS:
        return thinking, {}
    word, _, share = EFFORTS[effort]
    if budget := thinking.get("budget_tokens"):
        return {**thinking, "budget_tokens": max(LEAST_BUDGET, int(budget * share))}, {}
    return ADAPTIVE, {"effort": word}


def with_budget(asked: Object) -> Object:
    """The same for a model that doesn't find the measure itself: a part of the answer's tokens, if enough."""
    if table(asked.get("thinking")).get("type") != ADAPTIVE["type"]:
        return asked
    effort = string(table(asked.get("output_config")).get("effort"))
    budget = min(EFFORTS[effort if effort in EFFORTS else "medium"][1], asked["max_tokens"] // 2)
    rest = {name: value for name, value in without_effort(asked).items() if name != "thinking"}
    return {**rest, "thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= LEAST_BUDGET else rest


def without_effort(asked: Object) -> Object:
    output = {name: value for name, value in table(asked.get("output_config")).items() if name != "effort"}
    rest = {name: value for name, value in asked.items() if name != "output_config"}
    return {**rest, "output_config": output} if output else rest


def _forbids_thinking(question: Question) -> bool:
    """A tool that has to be called; or we are between a call and what comes of it, and its thought is not there."""
    if question.choice.mode in ("required", "tool"):
        return True
    if not question.messages or question.messages[-1].role != "tool":
        return False
    asked = next((message for message in reversed(question.messages) if message.role == "assistant"), None)
    return asked is None or not any(_is_ours(part) for part in asked.parts)


def _turns(messages: Sequence[Message]) -> list[Object]:
    """Empty texts (of an answer that was stopped before its first token) are refused, so they are left out. Results
    come first in one message with what the user says to them."""
    turns = []
    said = [message for message in messages if message.role not in ABOVE]
    for assistant, group in groupby(said, lambda message: message.role == "assistant"):
        blocks = [_blocks(message.parts) for message in group]
        if any(block["type"] == "tool_result" for one in blocks for block in one):
            blocks = [
                sorted((block for one in blocks for block in one), key=lambda one: one["type"] != "tool_result")
            ]
        role = "assistant" if assistant else "user"
        turns += [{"role": role, "content": _plain(one)} for one in blocks if one]
    if not turns:
        raise RequestError("bad_field", "messages has no message of the user; send one with text.", "messages")
    return turns


def _plain(blocks: list[Object]) -> str | list[Object]:
    if all(block["type"] == "text" for block in blocks):
        return "".join(block["text"] for block in blocks)
    return blocks


def _blocks(parts: Iterable[Part]) -> list[Object]:
    return [block for part in parts if (block := _block(part))]


def _block(part: Part) -> Object | None:
    """Thoughts only with Anthropic's own signature: it refuses others."""
    if isinstance(part, Text):
        return {"type": "text", "text": part.text} if part.text.strip() else None
    if isinstance(part, Image):
        return {"type": "image", "source": _source(part.url)}
    if isinstance(part, File):
        return {"type": "document", "source": _source(part.url), **({"title": part.name} if part.name else {})}
    if isinstance(part, ToolCall):
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": part.read()}
    if isinstance(part, Result):
        error = {"is_error": True} if part.error else {}
        return {"type": "tool_result", "tool_use_id": part.call, "content": _plain(_blocks(part.parts)), **error}
    if isinstance(part, Thought) and _is_ours(part):
        if part.redacted:
            return {"type": "redacted_thinking", "data": part.signature}
        return {"type": "thinking", "thinking": part.text, "signature": part.signature}
    return None


def _is_ours(part: Part) -> bool:
    return isinstance(part, Thought) and bool(part.signature) and part.origin == NAME


def _source(url: str) -> Object:
    if match := DATA_URL.match(url):
        return {"type": "base64", "media_type": match[1], "data": url[match.end() :]}
    return {"type": "url", "url": url}


def _tool(tool: Tool) -> Object:
    return {**tool.described, "input_schema": tool.schema}


def _choice(question: Question) -> Object:
    choice = question.choice
    chosen: Object = {"type": CHOICES[choice.mode]}
    if choice.name:
        chosen["name"] = choice.name
    if question.options.parallel is False and choice.mode != "none":
        chosen["disable_parallel_tool_use"] = True
    return chosen
