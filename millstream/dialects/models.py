"""The lists of models that servers give, read: https://platform.openai.com/docs/api-reference/models/list

Nearly all have OpenAI's shape, and say more in words of their own. Understood are those of OpenRouter, Mistral,
Together, Groq, Moonshot, Gemini, Anthropic, llama.cpp, LM Studio and Ollama (`/api/tags`, `/api/show`).
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

from msgspec import Struct

from millstream.dialects.foreign import loads

# Names of models that can't chat, for lists that don't say so.
OTHERWISE = re.compile(
    r"embed|whisper|\btts|-tts|dall-e|image|imagen|\bveo\b|\bsora\b|moderation|rerank|realtime|transcribe|audio"
    r"|speech|babbage|davinci|turbo-instruct|\bbge\b|\baqa\b|lyria|cogview|cogvideo|wanx|flux",
    re.IGNORECASE,
)
OTHER_TYPES = {"embedding", "embeddings", "image", "moderation", "rerank", "audio", "transcribe", "video"}


class Model(Struct, frozen=True):
    """`chats` is False for one that embeds, draws or speaks. What the list doesn't say is None."""

    id: str
    chats: bool = True
    tools: bool | None = None
    vision: bool | None = None

    def and_(self, other: Model) -> Model:
        """Merge two descriptions; this one wins."""
        return Model(
            self.id,
            self.chats and other.chats,
            other.tools if self.tools is None else self.tools,
            other.vision if self.vision is None else self.vision,
        )


def read(body: bytes) -> list[Model]:
    """Read the models in the list's order, each name once. Raises ValueError."""
    document = loads(body)
    lists = [document]
    if isinstance(document, dict):  # llama.cpp has both, and says more in `models`
        lists = [document[key] for key in ("data", "models") if isinstance(document.get(key), list)]
    if not lists or not isinstance(lists[0], list):
        raise ValueError("no list of models")
    found: dict[str, Model] = {}
    for item in chain.from_iterable(lists):
        if isinstance(item, dict) and (model := _model(item)) is not None:
            found[model.id] = model.and_(found[model.id]) if model.id in found else model
    return list(found.values())


def shown(name: str, body: bytes) -> Model:
    """Read Ollama's `/api/show`; older versions have no capabilities. Raises ValueError."""
    document = loads(body)
    can = document.get("capabilities") if isinstance(document, dict) else None
    return Model(name, "completion" in can, "tools" in can, "vision" in can) if isinstance(can, list) else Model(name)


def _model(item: dict[str, Any]) -> Model | None:
    name = next((item[key] for key in ("id", "model", "name") if isinstance(item.get(key), str)), "")
    name = name.removeprefix("models/")  # Gemini's
    if not name or not name.isprintable() or len(name) > 200 or item.get("active") is False:
        return None
    can = _capabilities(item)
    takes, gives = _modalities(item, "input_modalities"), _modalities(item, "output_modalities")
    parameters = item.get("supported_parameters")
    chats = can.get("completion_chat", can.get("completion"))
    if chats is None:
        chats = "text" in gives if gives else item.get("type") not in OTHER_TYPES and not OTHERWISE.search(name)
    tools = can.get("tools", can.get("function_calling"))
    if tools is None and isinstance(parameters, list):
        tools = "tools" in parameters
    vision = can.get("vision", item.get("supports_image_in"))
    if vision is None:
        vision = "image" in takes if takes else True if item.get("type") == "vlm" else None
    return Model(name, bool(chats), *(value if isinstance(value, bool) else None for value in (tools, vision)))


def _capabilities(item: dict[str, Any]) -> dict[str, Any]:
    """A mapping to booleans (Mistral), or a list of what there is (Ollama, llama.cpp, LM Studio)."""
    can = item.get("capabilities")
    if isinstance(can, list):
        names = {name for name in can if isinstance(name, str)}
        names |= {known for said, known in (("multimodal", "vision"), ("tool_use", "tools")) if said in names}
        # If the list has capabilities, a missing one means no. Tools are the exception: llama.cpp never lists them.
        whole = {"completion", "vision"} if names & {"completion", "embedding"} else set()
        return {name: name in names for name in ("completion", "tools", "vision") if name in whole | names}
    if not isinstance(can, dict):
        return {}
    sees = can.get("image_input")  # Anthropic's
    return can | ({"vision": sees.get("supported")} if isinstance(sees, dict) else {})


def _modalities(item: dict[str, Any], name: str) -> list[Any]:
    architecture = item.get("architecture")
    found = item.get(name) or (architecture.get(name) if isinstance(architecture, dict) else None)
    return found if isinstance(found, list) else []
