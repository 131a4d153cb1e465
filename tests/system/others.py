"""Packages that live in an environment of their own: each calls a tool and shows a picture.

`python others.py PACKAGE URL PNG MODEL …` prints what came of both from each model, as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def anthropic(url: str, model: str, png: str) -> list[str]:
    from anthropic import Anthropic, APIStatusError

    client = Anthropic(base_url=url, api_key="x", max_retries=0)
    asked: Any = {"model": model, "max_tokens": 99, "tools": [{"name": "weather", "input_schema": SCHEMA}]}
    turns: Any = [{"role": "user", "content": "Hi"}]
    with client.messages.stream(**asked, messages=turns) as stream:
        content = stream.get_final_message().content
    [call] = [block for block in content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": f"22 in {call.input['city']}"}
    turns += [{"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    with client.messages.stream(**asked, messages=turns) as stream:
        said = "".join(stream.text_stream)
    source = {"type": "base64", "media_type": "image/png", "data": png}
    shown: Any = [{"role": "user", "content": [{"type": "image", "source": source}]}]
    try:
        seen = client.messages.create(model=model, max_tokens=99, messages=shown).content[0]
    except APIStatusError as error:
        return [said, str(error)]
    return [said, getattr(seen, "text", "")]


def langchain(url: str, model: str, png: str) -> list[str]:
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_openai import ChatOpenAI
    from openai import APIStatusError

    chat = ChatOpenAI(base_url=f"{url}/v1", api_key="x", model=model, max_retries=0)  # type: ignore[arg-type]
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
    turns: Any = [HumanMessage("Hi")]
    called: Any = None
    for piece in chat.bind_tools([tool]).stream(turns):
        called = piece if called is None else called + piece
    [call] = called.tool_calls
    turns += [called, ToolMessage(f"22 in {call['args']['city']}", tool_call_id=call["id"])]
    said = chat.bind_tools([tool]).invoke(turns).content
    shown = HumanMessage([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}}])
    try:
        return [str(said), str(chat.invoke([shown]).content)]
    except APIStatusError as error:
        return [str(said), str(error)]


package, url, png, *models = sys.argv[1:]
ask = {"anthropic": anthropic, "langchain": langchain}[package]
print(json.dumps([ask(url, model, png) for model in models]))
