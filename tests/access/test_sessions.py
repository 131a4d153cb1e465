"""A log-in's word: whom it is good for, and for how long."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from millstream.access.keyring import Keyring, digest, new_key
from millstream.access.sessions import Sessions, open_secret
from millstream.errors import Unavailable
from millstream.settings import KeySettings, Secret, SettingError
from tests.access.marks import Marks

ANNA = KeySettings("anna.b-c", digest("ms-anna"))
BOB = KeySettings("bob", digest("ms-bob"))


def sessions(keys=(ANNA, BOB), marks=None, secret=b"secret"):
    marks = marks or Marks()
    return Sessions(secret, Keyring(keys), marks, lifetime=100, now=lambda: marks.now)


def test_a_word_is_good_on_every_worker_until_its_end():
    marks = Marks()
    word = sessions(marks=marks).begin(ANNA)
    assert sessions(marks=marks).find(word).key == ANNA
    marks.now += 100
    assert sessions(marks=marks).find(word) is None


def test_no_two_log_ins_have_the_same_word_or_token():
    some = sessions()
    one, other = some.begin(ANNA), some.begin(ANNA)
    assert one != other
    assert some.find(one).token != some.find(other).token
    assert some.find(one).token not in one


def test_a_word_that_was_ended_stays_so_everywhere():
    marks = Marks()
    one, other = sessions(marks=marks), sessions(marks=marks)
    word, kept = one.begin(ANNA), one.begin(ANNA)
    one.end(one.find(word))
    assert other.find(word) is None
    assert other.find(kept)
    marks.now += 99.5
    assert other.find(word) is None


@pytest.mark.parametrize(
    "keys", [(), (BOB,), (KeySettings("anna.b-c", digest("another")), BOB)], ids=["none", "revoked", "changed"]
)
def test_a_changed_or_revoked_key_ends_its_log_ins(keys):
    assert sessions(keys).find(sessions().begin(ANNA)) is None


def test_another_secret_knows_it_not():
    assert sessions(secret=b"other").find(sessions().begin(ANNA)) is None


def test_no_changed_word_is_good():
    some = sessions()
    word = some.begin(ANNA)
    signature, id, ends, name = word.split(".", 3)
    forged = [
        f"{signature}.{id}.{ends}.bob",
        f"{signature}.{id}.{int(ends) + 1}.{name}",
        f"{some.find(word).token}.{id}.{ends}.{name}",
        *(word[:n] for n in range(len(word))),
        *(word[:n] + chr(ord(word[n]) ^ 1) + word[n + 1 :] for n in range(len(word))),
        "....",
        f".{id}.{ends}.{name}",
        "\udcff.ä.\0.anna.b-c",
    ]
    assert [some.find(word) for word in forged] == [None] * len(forged)


def test_the_keyring_finds_each_of_many_and_no_other():
    given = [new_key() for _ in range(20)]
    assert len({len(key) for key in given}) == 1
    ring = Keyring([KeySettings(f"k{n}", digest(key)) for n, key in enumerate(given)])
    assert [ring.find(key).name for key in given] == [f"k{n}" for n in range(20)]
    assert ring.find(new_key()) is None


def test_workers_that_start_at_once_share_one_secret_which_others_cant_read(tmp_path):
    setting = Secret(f"file:{tmp_path}/new/secret")
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: open_secret(setting), range(40)))
    (secret,) = found
    assert len(secret) >= 32
    assert open_secret(setting) == secret
    assert stat.S_IMODE((tmp_path / "new" / "secret").stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["secret"]


def test_a_secret_of_ones_own_is_taken_as_it_is():
    assert open_secret(Secret("x" * 32)) == b"x" * 32


def test_an_emptied_file_is_no_secret(tmp_path):
    (tmp_path / "secret").touch()
    with pytest.raises(SettingError, match="is too short"):
        open_secret(Secret(f"file:{tmp_path}/secret"))


def test_a_worker_from_before_the_first_key_knows_no_log_in_and_makes_none():
    for use in (lambda some: some.begin(ANNA), lambda some: some.find(sessions().begin(ANNA))):
        with pytest.raises(Unavailable):
            use(sessions(secret=b""))


def test_a_folder_that_cant_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=r"session_secret: .*/file/secret can't be used"):
        open_secret(Secret(f"file:{tmp_path}/file/secret"))
