from __future__ import annotations

import pytest

from millstream.errors import NotFound
from millstream.settings import BASE, SettingError
from millstream.stores.file import FileStore
from millstream.stores.memory import MemoryStore
from millstream.stores.table import open_store
from tests.stores.samples import ID, OTHER, done, log, message, meta


def test_the_word_before_the_colon_chooses_the_store(tmp_path):
    assert isinstance(open_store("memory:", ttl=1, workers=1), MemoryStore)
    assert isinstance(open_store(f"file:{tmp_path}/a", ttl=1, workers=4), FileStore)
    assert isinstance(open_store(f"file://{tmp_path}/b", ttl=1, workers=4), FileStore)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_a_relative_directory_is_beside_the_app(tmp_path, monkeypatch):
    monkeypatch.setattr("millstream.stores.table.BASE", tmp_path)
    monkeypatch.chdir(BASE / "tests")
    open_store("file:instance/streams", ttl=1, workers=1)
    assert (tmp_path / "instance" / "streams").is_dir()


@pytest.mark.parametrize(
    ("url", "workers", "says"),
    [
        ("memory:", 2, r"MILLSTREAM_STORE .* 2 workers .* leave it out"),
        ("memory:x", 1, "memory: alone"),
        ("file:", 1, "name a directory"),
        ("", 1, "memory:, file:DIR or redis://"),
        ("instance/streams", 1, "memory:, file:DIR or redis://"),
        ("redis://:hunter2@host:port/0", 1, "address of Redis can't be read"),
        ("redis://:hunter2@host/0?nonsense=1", 1, "unknown option 'nonsense'"),
        ("sqlite:x", 1, "'sqlite'"),
    ],
)
def test_a_wrong_store_is_refused_with_what_to_set_instead(url, workers, says):
    with pytest.raises(SettingError, match=says) as refused:
        open_store(url, ttl=1, workers=workers)
    assert "hunter2" not in str(refused.value)


def test_the_rest_of_a_wrong_url_is_not_shown():
    with pytest.raises(SettingError) as refused:
        open_store("valkey://user:hunter2@host", ttl=1, workers=1)
    assert "hunter2" not in str(refused.value)


def test_memory_has_a_limit_too():
    store = open_store("memory:", ttl=600, workers=1, size=1000)
    for id in (ID, OTHER):
        store.create(meta(store, id))
    store.append(ID, [message(1, "x" * 600), done(2)])
    assert not store.away
    store.append(OTHER, [message(1, "x" * 600)])
    assert not store.away  # what has ended went
    assert log(store, OTHER)
    store.append(OTHER, [message(2, "x" * 600)])
    assert store.away  # what runs stays
    with pytest.raises(NotFound):
        store.meta(ID)
