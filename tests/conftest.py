"""The order of the files, the longest first, so that at the end of the run none of them is left alone.

Three processes each collect all tests. Two things make that quick. Large packages are loaded by the process that uses
them. The garbage collector looks neither at tests while they are collected, nor at collected ones later.
"""

from __future__ import annotations

import gc
import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

import pytest

LARGE = ("agents", "anthropic", "ollama", "openai")  # seconds each

# What takes more than half a minute on two cores. Those that work and those that wait by turns.
LONGEST = (
    "test_package",
    "test_slow",
    "test_soak",
    "test_ledger",
    "test_unit",
    "test_rolling",
    "test_documents",
    "test_keys",
    "test_many",
    "test_sdk_llm",
    "test_draining",
    "test_workers",
    "test_redis",
    "test_printed_clients",
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    folder, file = item.path.parent.name, item.path.stem
    if folder == "system" and file in LONGEST:
        return LONGEST.index(file)
    return len(LONGEST) + (folder not in ("system", "browser"))
