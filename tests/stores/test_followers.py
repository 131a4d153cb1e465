from __future__ import annotations

from millstream.stores.followers import Followers


def test_both_sides_of_the_table_agree():
    followers = Followers()
    assert [followers.add(*pair) for pair in (("w", "s"), ("w", "s"), ("v", "s"), ("w", "t"))] == [1, 0, 1, 1]
    assert set(followers.of("s")) == {"w", "v"}
    assert set(followers.streams("w")) == {"s", "t"}
    assert [followers.remove(*pair) for pair in (("w", "s"), ("w", "s"), ("x", "s"), ("w", "x"))] == [1, 0, 0, 0]
    assert followers.of("s") == ("v",)
    assert followers.streams("w") == ["t"]


def test_nothing_is_kept_of_what_has_ended():
    followers = Followers()
    for worker in ("v", "w"):
        followers.add(worker, "s")
    followers.end("s")
    followers.end("s")
    assert followers.workers() == set()
    assert (followers.of("s"), followers.streams("w")) == ((), [])
