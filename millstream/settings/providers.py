"""Providers by name: what `provider = "deepseek"` in an upstream's table stands for.

`key` is the variable that the provider's own documents put the key into. `quirks` are settings of the kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NO_COMPLETIONS = {"completions": False}  # it has chats alone
THINK = {"think": True}  # some of its models write <think> into the answer


@dataclass(frozen=True)
class Provider:
    base_url: str
    key: str = ""
    models: tuple[str, ...] = ()  # where it gives no list
    quirks: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "openai"


PROVIDERS = {
    "anthropic": Provider("https://api.anthropic.com", "ANTHROPIC_API_KEY", kind="anthropic"),
    "dashscope": Provider(
        "https://dashscope.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY", quirks=NO_COMPLETIONS
    ),
    "deepseek": Provider("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", quirks=NO_COMPLETIONS),
    "doubao": Provider("https://ark.cn-beijing.volces.com/api/v3", "ARK_API_KEY", quirks=NO_COMPLETIONS),
    "gemini": Provider(
        "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY", quirks=NO_COMPLETIONS
    ),
    "groq": Provider("https://api.groq.com/openai/v1", "GROQ_API_KEY", quirks=NO_COMPLETIONS | THINK),
    "llama.cpp": Provider("http://127.0.0.1:8080/v1"),
    "lmstudio": Provider("http://127.0.0.1:1234/v1", quirks=THINK),
    "minimax": Provider(
        "https://api.minimax.io/v1", "MINIMAX_API_KEY", ("MiniMax-M2", "MiniMax-M1"), NO_COMPLETIONS | THINK
    ),
    "mistral": Provider("https://api.mistral.ai/v1", "MISTRAL_API_KEY", quirks=NO_COMPLETIONS),
    "moonshot": Provider("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", quirks=NO_COMPLETIONS),
    "ollama": Provider("http://127.0.0.1:11434/v1"),
    "openai": Provider("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "openrouter": Provider("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "perplexity": Provider(
        "https://api.perplexity.ai",
        "PERPLEXITY_API_KEY",
        ("sonar", "sonar-pro", "sonar-reasoning", "sonar-reasoning-pro", "sonar-deep-research"),
        NO_COMPLETIONS | THINK,
    ),
    "qianfan": Provider("https://qianfan.baidubce.com/v2", "QIANFAN_API_KEY", quirks=NO_COMPLETIONS),
    "qwen": Provider(  # outside of China; "dashscope" is the one within
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY", quirks=NO_COMPLETIONS
    ),
    "spark": Provider(  # its HTTP door; the WebSocket is the kind "spark"
        "https://spark-api-open.xf-yun.com/v1",
        "SPARK_API_PASSWORD",
        ("lite", "generalv3", "pro-128k", "generalv3.5", "max-32k", "4.0Ultra"),
        NO_COMPLETIONS,
    ),
    "together": Provider("https://api.together.xyz/v1", "TOGETHER_API_KEY", quirks=THINK),
    "vllm": Provider("http://127.0.0.1:8000/v1", "VLLM_API_KEY", quirks=THINK),
    "xai": Provider("https://api.x.ai/v1", "XAI_API_KEY"),
    "zhipu": Provider("https://open.bigmodel.cn/api/paas/v4", "ZHIPUAI_API_KEY", quirks=NO_COMPLETIONS),
}


def stands_for(name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings that are the provider's. Raises KeyError."""
    provider = PROVIDERS[name]
    table: dict[str, Any] = {"kind": provider.kind, "base_url": provider.base_url, **provider.quirks}
    if provider.models:
        table["models"] = list(provider.models)
    if provider.key and environ.get(provider.key):
        table["api_key"] = environ[provider.key]
    return table
