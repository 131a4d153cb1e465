from __future__ import annotations

import pytest

from millstream.errors import Unavailable
from millstream.limits.marks import Marks
from millstream.limits.table import open_storage


def test_a_mark_is_known_to_all_workers_for_its_time(open_, url):
    one, other = Marks(open_(url)), Marks(open_(url))
    assert not other.has("word")
    one.put("word", 60)
    one.put("word", 60)
    assert other.has("word")
    assert not other.has("wor")


def test_a_mark_that_cant_be_looked_up_is_no_answer(tmp_path):
    (tmp_path / "file").touch()
    storage = open_storage(f"sqlite:{tmp_path}/file/limits.db")
    for ask in (lambda marks: marks.put("word", 60), lambda marks: marks.has("word")):
        with pytest.raises(Unavailable) as refused:
            ask(Marks(storage))
        assert refused.value.code == "store_unavailable"
    storage.close()
