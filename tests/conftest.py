"""The order of the files: the longest first, so that at the end of the run none of them is left alone."""

from __future__ import annotations

import pytest

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    folder, file = item.path.parent.name, item.path.stem
    if folder == "system" and file in LONGEST:
        return LONGEST.index(file)
    return len(LONGEST) + (folder not in ("system", "browser"))
