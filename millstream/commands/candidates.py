"""Candidates for an upstream: model servers on this machine, and providers whose key is in the environment."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.request import ProxyHandler, build_opener

from millstream.errors import UpstreamError
from millstream.settings import Settings
from millstream.settings.providers import PROVIDERS
from millstream.settings.upstreams import LIMITS, read_upstreams
from millstream.settings.values import SettingError
from millstream.upstreams.router import build

LOCAL = {"ollama": "Ollama", "lmstudio": "LM Studio", "llama.cpp": "llama.cpp", "vllm": "vLLM"}
PATIENCE = 5.0  # s for a list of models


@dataclass(frozen=True)
class Candidate:
    """`name` and `table` are for the settings file; `models` are those that chat, () where nobody says what there is;
    `key` is the variable that has the provider's key."""

    name: str
    table: dict[str, str]
    says: str
    models: tuple[str, ...]
    key: str = ""


def look(environ: Mapping[str, str]) -> list[Candidate]:
    """Return all candidates, those on this machine first. All are asked for their models at the same time."""
    keys: dict[str, str] = {}  # a provider may have two addresses, and one key for both
    for name, provider in PROVIDERS.items():
        if environ.get(provider.key) and name not in LOCAL:
            keys.setdefault(provider.key, name)
    names = [*LOCAL, *keys.values()]
    with ThreadPoolExecutor(len(names)) as pool:
        return [found for found in pool.map(lambda name: _candidate(name, environ), names) if found]


def _candidate(name: str, environ: Mapping[str, str]) -> Candidate | None:
    table = {"provider": name}
    if name == "ollama" and (host := environ.get("OLLAMA_HOST")):  # its own variable, for its server and its client
        address = host if "://" in host else f"http://{host}"
        table["base_url"] = f"{address.rstrip('/')}/v1"
    address = table.get("base_url", PROVIDERS[name].base_url)
    if name in LOCAL and _is_ours(address):
        return None
    try:
        models = _models(name, table, environ)
    except (UpstreamError, SettingError):
        if name in LOCAL:
            return None
        models = ()
    title = f"{LOCAL[name]} at {address}" if name in LOCAL else f"{name}, with {PROVIDERS[name].key}"
    count = f": {len(models)} model{'s' * (len(models) != 1)}" if models or name in LOCAL else ""
    return Candidate(name.replace(".", "-"), table, title + count, models, PROVIDERS[name].key)


def _models(name: str, table: dict[str, str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return an upstream's models. Raises UpstreamError, SettingError."""
    limits = dict.fromkeys(LIMITS, PATIENCE)
    (read,) = read_upstreams({name: table}, "", limits, environ)
    upstream = build(read, Settings(upstreams=(read,)))
    return tuple(one.id for one in upstream.listed() if one.chats) if upstream.lists else read.models


def _is_ours(address: str) -> bool:
    """vLLM's port is Millstream's, too."""
    try:
        with build_opener(ProxyHandler({})).open(f"{address.removesuffix('/v1')}/readyz", timeout=PATIENCE) as found:
            return bool(found.status == 200)
    except (OSError, ValueError):
        return False
