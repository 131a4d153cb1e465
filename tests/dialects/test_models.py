"""Lists of models in the words of those who give them."""

import json

import pytest

from millstream.dialects.models import Model, read

LISTS = {
    "OpenAI": ({"data": [{"id": "gpt-x", "object": "model"}, {"id": "text-embedding-3-small"}]}, [Model("gpt-x")]),
    "OpenAI's others": ({"data": [{"id": name} for name in ("whisper-1", "tts-1", "dall-e-3", "sora-2")]}, []),
    "OpenRouter": (
        {
            "data": [
                {
                    "id": "a/b",
                    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
                    "supported_parameters": ["tools"],
                },
                {"id": "a/draws", "architecture": {"output_modalities": ["image"]}},
            ]
        },
        [Model("a/b", tools=True, vision=True)],
    ),
    "Mistral": (
        {
            "data": [
                {
                    "id": "m",
                    "capabilities": {"completion_chat": True, "function_calling": True, "vision": False},
                },
                {"id": "m-ocr", "capabilities": {"completion_chat": False}},
            ]
        },
        [Model("m", tools=True, vision=False)],
    ),
    "Together": ([{"id": "t", "type": "chat"}, {"id": "u", "type": "rerank"}], [Model("t")]),
    "Groq": ({"data": [{"id": "g", "active": True}, {"id": "h", "active": False}]}, [Model("g")]),
    "Moonshot": ({"data": [{"id": "k", "supports_image_in": True}]}, [Model("k", vision=True)]),
    "Gemini": ({"data": [{"id": "models/gemini-x"}, {"id": "models/imagen-4"}]}, [Model("gemini-x")]),
    "Anthropic": (
        {
            "data": [
                {"type": "model", "id": "claude-x", "capabilities": {"image_input": {"supported": True}}},
                {"type": "model", "id": "claude-y", "capabilities": None},
            ],
            "has_more": False,
        },
        [Model("claude-x", vision=True), Model("claude-y")],
    ),
    "llama.cpp": (
        {
            "models": [
                {"name": "q.gguf", "model": "q.gguf", "tags": [""], "capabilities": ["completion", "multimodal"]},
                {"name": "r.gguf", "model": "r.gguf", "tags": [""], "capabilities": ["completion"]},
            ],
            "object": "list",
            "data": [{"id": f"{name}.gguf", "object": "model", "owned_by": "llamacpp", "meta": {}} for name in "qr"],
        },
        [Model("q.gguf", vision=True), Model("r.gguf", vision=False)],
    ),
    "LM Studio": (
        {"data": [{"id": "v", "type": "vlm", "capabilities": ["tool_use"]}]},
        [Model("v", tools=True, vision=True)],
    ),
    "Ollama": ({"models": [{"name": "qwen3:8b", "model": "qwen3:8b", "details": {}}]}, [Model("qwen3:8b")]),
    "odd": ({"data": [None, 7, {}, {"id": 3}, {"id": "a\nb"}, {"id": "x"}, {"id": "x"}]}, [Model("x")]),
}


@pytest.mark.parametrize(("document", "chats"), LISTS.values(), ids=LISTS)
def test_a_list(document, chats):
    assert [model for model in read(json.dumps(document).encode()) if model.chats] == chats


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data":{}}', b"7", b"[" * 100_000])
def test_what_is_no_list(body):
    with pytest.raises(ValueError, match=r"\w"):
        read(body)
