"""The order of the files, the longest first, so that at the end of the run none of them is left alone.

Four processes each collect all tests. Two things make that quick. Large packages are loaded by the process that uses
them. The garbage collector looks neither at tests while they are collected, nor at collected ones later.
"""

from __future__ import annotations

import gc
import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

LARGE = ("agents", "anthropic", "ollama", "openai")  # seconds each

# Files that share what is made once for a process: four browsers, and a server with five upstreams.
TOGETHER = {
    "engines": (
        "browser/test_client",
        "browser/test_client_answers",
        "browser/test_client_eventsource",
        "browser/test_client_standard",
        "browser/test_eventsource",
        "browser/test_page_elsewhere",
        "browser/test_page_old",
        "browser/test_rich_layout",
        "browser/test_attacks",
    ),
    "doors": (
        "system/test_sdk_failures",
        "system/test_sdk_llm",
        "system/test_sdk_node",
        "system/test_sdk_python",
        "system/test_v1_bad_input",
    ),
}
GROUPS = {f"tests/{file}.py": name for name, files in TOGETHER.items() for file in files}
# What takes more than half a minute on two cores. Those that work and those that wait by turns.
LONGEST = (
    "engines",
    "doors",
    *(
        f"tests/{file}.py"
        for file in (
            "system/test_slow",
            "browser/test_page_history",
            "system/test_package",
            "system/test_console",
            "browser/test_page_states",
            "system/test_soak",
            "browser/test_page_access",
            "system/test_draining",
            "system/test_doctor_command",
            "system/test_vps",
            "system/test_rolling",
            "system/test_many",
            "system/test_keys",
            "system/test_agents",
        )
    ),
)


class Later(ModuleType):
    """A package that is loaded when something of it is asked for; importlib's LazyLoader loads at a second import."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and name != "__path__":  # pytest looks whether it is a test
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__path__ = self.__spec__.submodule_search_locations
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


gc.disable()
for spec in filter(None, map(find_spec, LARGE)):
    module = sys.modules[spec.name] = module_from_spec(spec)
    del module.__path__  # a module below asks for it first
    module.__class__ = Later


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """A file goes to one process, and so do those that share something."""

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def _scope(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return GROUPS.get(file, file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    if (scope := _scope(item.nodeid)) in LONGEST:
        return LONGEST.index(scope)
    return len(LONGEST) + (item.path.parent.name not in ("system", "browser"))
