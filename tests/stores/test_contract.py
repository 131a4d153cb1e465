"""What every store promises (the protocol is in millstream/stores/__init__.py)."""

from __future__ import annotations

import os
import secrets
import time

import gevent
import pytest

from millstream.errors import NotFound
from millstream.events import End, Event, Failure, Piece, Usage
from millstream.stores import StoreLost
from tests.stores.samples import ID, OTHER, TTL, done, everything, log, message, meta, until

EVERY_KIND = [
    Event(text="Hel", n=1),
    Event(type="reasoning", text="lines\r\n\u2028\x00 and 🜚 and \ud7ff", n=2),
    Event("call", "{", call=Piece(0, "c", "f"), frames=(b'{"choices":[]}\n\x00\xff', b""), n=3, choice=1),
    Event(text="", n=4),
    Event(
        type="failed",
        n=5,
        end=End(
            model="m",
            upstream="u",
            usage=Usage(3, 4, "estimated"),
            cost="0.0004",
            currency="USD",
            failure=Failure(message="gone", type="server_error", code="lost"),
        ),
    ),
]


def test_what_was_appended_is_read_as_it_was(workers):
    workers.one.create(meta(workers.one))
    workers.one.append(ID, EVERY_KIND[:2])
    workers.one.append(ID, EVERY_KIND[2:])
    assert log(workers.one) == EVERY_KIND
    assert log(workers.two) == EVERY_KIND


def test_meta_is_given_back_whole(workers):
    whole = meta(workers.one, claim="c", fingerprint="f", messages=[{"role": "user", "content": "é\n"}])
    assert workers.one.create(whole) == whole
    assert workers.two.meta(ID) == whole


@pytest.mark.parametrize("limit", [1, 7, 100, 10_000])
@pytest.mark.parametrize("after", [0, 1, 49, 99, 100])
def test_reading_in_bits_from_any_number_gives_each_event_once(workers, limit, after):
    workers.one.create(meta(workers.one))
    for n in range(1, 100, 3):
        workers.one.append(ID, [message(n), message(n + 1, "x" * n), message(n + 2)])
    workers.one.append(ID, [done(100)])
    assert [event.n for event in log(workers.two, after=after, limit=limit)] == list(range(after + 1, 101))


def test_a_read_gives_about_the_limit_and_not_everything(workers):
    workers.one.create(meta(workers.one))
    workers.one.append(ID, [message(n, "x" * 100) for n in range(1, 1001)])
    bit = workers.one.reader(ID).read(2000)
    assert 5 <= len(bit) <= 21


def test_an_event_larger_than_the_limit_is_given_whole(workers):
    large = message(1, "x" * 1_000_000)
    workers.one.create(meta(workers.one))
    workers.one.append(ID, [large, done(2)])
    assert log(workers.two, limit=1000) == [large, done(2)]


def test_a_reader_at_the_end_gives_nothing_and_goes_on_when_more_comes(workers):
    workers.one.create(meta(workers.one))
    reader = workers.two.reader(ID)
    assert reader.read() == []
    for n in range(1, 5):
        workers.one.append(ID, [message(n)])
        assert reader.read() == [message(n)]
        assert reader.read() == []


def test_a_position_that_append_gave_is_where_the_next_batch_begins(workers):
    workers.one.create(meta(workers.one))
    positions = [workers.one.append(ID, [message(n), message(n + 1)]) for n in (1, 3, 5)]
    assert positions == sorted(set(positions))
    for position, first in zip(positions, (3, 5, 7), strict=True):
        reader = workers.one.reader(ID)
        reader.seek(position)
        assert [event.n for event in everything(reader, limit=1)] == list(range(first, 7))
        reader.close()


def test_seeking_never_gives_an_event_twice(workers):
    workers.one.create(meta(workers.one))
    position = workers.one.append(ID, [message(1)])
    workers.one.append(ID, [message(2), message(3)])
    reader = workers.one.reader(ID, after=2)
    reader.seek(position)
    assert reader.read() == [message(3)]
    reader.seek(position)
    assert reader.read() == []


def test_numbers_that_are_already_there_are_dropped(workers):
    workers.one.create(meta(workers.one))
    first = workers.one.append(ID, [message(1), message(2)])
    assert workers.one.append(ID, [message(1, "again"), message(2, "again")]) == first
    assert workers.one.append(ID, []) == first
    workers.one.append(ID, [message(2, "again"), message(3)])
    assert log(workers.two) == [message(1), message(2), message(3)]


def test_nothing_can_be_added_behind_the_end(workers):
    workers.one.create(meta(workers.one))
    workers.one.append(ID, [message(1), done(2)])
    with pytest.raises(StoreLost, match=ID):
        workers.one.append(ID, [message(3)])
    assert log(workers.one) == [message(1), done(2)]


def test_nothing_can_be_added_to_a_stream_that_is_not_owned(workers):
    with pytest.raises(StoreLost):
        workers.two.append(ID, [message(1)])


@pytest.mark.parametrize("id", [ID, "", "../streams/" + ID, "a/b", "a\0b", "a\n", "é", "x" * 300])
def test_an_id_that_is_not_there_is_not_found(workers, id):
    for ask in (workers.one.meta, workers.one.reader, lambda id: workers.one.watch(id, lambda: None)):
        with pytest.raises(NotFound):
            ask(id)


def test_words_about_a_stream_that_is_not_there_do_nothing(workers):
    workers.one.release(ID)
    workers.one.delete(ID)
    workers.one.tell(ID, "stop")
    assert workers.one.seize(ID) is False
    assert workers.said == []


def test_a_claim_gives_the_older_stream_and_makes_nothing(workers):
    older = workers.one.create(meta(workers.one, claim="key"))
    assert workers.two.create(meta(workers.two, OTHER, claim="key")) == older
    with pytest.raises(NotFound):
        workers.two.meta(OTHER)
    with pytest.raises(StoreLost):
        workers.two.append(OTHER, [message(1)])


def test_different_claims_and_no_claims_are_different_streams(workers):
    ids = [secrets.token_urlsafe(16) for _ in range(6)]
    for id, claim in zip(ids, ["a", "b", "a/../b", "é\n", None, None], strict=True):
        assert workers.one.create(meta(workers.one, id, claim=claim)).id == id


def test_of_many_claimants_at_once_exactly_one_gets_the_stream(workers):
    def claim(store):
        mine = meta(store, secrets.token_urlsafe(16), claim="key")
        return store.create(mine), mine

    greenlets = [gevent.spawn(claim, store) for _ in range(50) for store in (workers.one, workers.two)]
    gevent.joinall(greenlets, raise_error=True)
    assert len({got.id for got, _ in (each.value for each in greenlets)}) == 1
    assert sum(got is mine for got, mine in (each.value for each in greenlets)) == 1


def test_an_ended_stream_keeps_its_claim(workers):
    older = workers.one.create(meta(workers.one, claim="key"))
    workers.one.append(ID, [done(1)])
    assert workers.two.create(meta(workers.two, OTHER, claim="key")) == older


@pytest.mark.parametrize("free", ["release", "delete"])
@pytest.mark.parametrize("ended", [False, True])
def test_a_claim_given_back_can_be_taken_again(workers, free, ended):
    workers.one.create(meta(workers.one, claim="key"))
    if ended:
        workers.one.append(ID, [done(1)])
    getattr(workers.one, free)(ID)
    again = meta(workers.two, OTHER, claim="key")
    until(lambda: workers.two.create(again) == again)  # in Redis nobody waits for a release


def test_a_claim_that_has_a_new_stream_is_not_given_back_by_the_old_one(workers):
    workers.one.create(meta(workers.one, claim="key"))
    workers.one.release(ID)
    newer = workers.one.create(meta(workers.one, OTHER, claim="key"))
    workers.one.release(ID)
    workers.one.delete(ID)
    assert workers.one.create(meta(workers.one, "c" * 22, claim="key")) == newer


def test_a_deleted_stream_is_gone_for_everybody(workers):
    workers.one.create(meta(workers.one))
    workers.one.append(ID, [message(1)])
    early = workers.two.reader(ID)
    workers.two.delete(ID)
    for store in (workers.one, workers.two):
        with pytest.raises(NotFound):
            store.meta(ID)
        with pytest.raises(NotFound):
            store.reader(ID)
    with pytest.raises(NotFound):
        early.read()


def test_a_reader_that_is_open_reads_a_deleted_stream_to_what_there_is(workers):
    workers.one.create(meta(workers.one))
    workers.one.append(ID, [message(1), message(2), message(3)])
    reader = workers.two.reader(ID)
    assert reader.read(1) == [message(1)]
    workers.one.delete(ID)
    assert everything_until_gone(reader) == [message(2), message(3)]
    reader.close()


def everything_until_gone(reader):
    events = []
    with pytest.raises(NotFound):
        while bit := reader.read(1):
            events += bit
    return events


def test_the_owner_of_a_deleted_stream_can_add_nothing(workers):
    workers.one.create(meta(workers.one))
    workers.one.delete(ID)
    with pytest.raises(StoreLost):
        workers.one.append(ID, [message(1)])


def test_a_stream_whose_owner_lives_can_not_be_seized(workers):
    workers.one.create(meta(workers.one))
    assert workers.one.seize(ID) is False
    assert workers.two.seize(ID) is False
    workers.one.append(ID, [done(1)])
    assert workers.two.seize(ID) is False


def test_a_word_told_by_the_owner_itself_comes_to_its_own_inbox(workers):
    workers.one.create(meta(workers.one))
    workers.one.tell(ID, "stop")
    assert workers.said == [(workers.one.worker, ID, "stop")]


def test_what_a_living_worker_has_is_no_orphan(workers):
    workers.one.create(meta(workers.one))
    workers.one.create(meta(workers.one, OTHER))
    workers.one.append(OTHER, [done(1)])
    assert workers.one.orphans() == workers.two.orphans() == []


def test_the_function_that_ends_a_watch_can_be_called_twice(workers):
    workers.one.create(meta(workers.one))
    end = workers.two.watch(ID, lambda: None)
    end()
    end()


def test_sweeping_erases_what_ended_a_ttl_ago_and_its_claim(workers):
    workers.one.create(meta(workers.one, claim="key"))
    workers.one.append(ID, [done(1)])
    assert workers.one.sweep(time.time() + TTL - 60) == 0
    assert log(workers.two) == [done(1)]
    assert workers.two.sweep(time.time() + TTL + 60) == 1
    assert workers.one.sweep(time.time() + TTL + 60) == 0
    with pytest.raises(NotFound):
        workers.one.meta(ID)
    newer = meta(workers.one, OTHER, claim="key")
    assert workers.one.create(newer) == newer


def test_sweeping_leaves_a_running_stream_however_old(workers):
    workers.one.create(meta(workers.one, claim="key"))
    workers.one.append(ID, [message(1)])
    for store in (workers.one, workers.two):
        assert store.sweep(time.time() + 100 * TTL) == 0
    workers.one.append(ID, [done(2)])
    assert log(workers.two) == [message(1), done(2)]
    assert workers.two.create(meta(workers.two, OTHER, claim="key")).id == ID


def test_a_worker_has_a_name_of_its_own(workers):
    assert workers.one.worker.isascii()
    assert str(os.getpid()) in workers.one.worker
    assert (workers.one.worker == workers.two.worker) == (workers.one is workers.two)


def test_a_name_leads_to_the_stream_that_it_was_given_last_while_that_is_there(workers):
    for id in (ID, OTHER):
        workers.one.create(meta(workers.one, id=id, claim="name" if id == ID else None))
        workers.one.point("name", id)
        assert workers.two.pointed("name") == id
    assert workers.two.pointed("other") is None
    assert [workers.two.pointed("name", take=True), workers.one.pointed("name")] == [OTHER, None]
    assert workers.two.create(meta(workers.two, id="C" * 22, claim="name")).id == ID  # a claim is no name
    workers.one.point("name", ID)
    workers.one.delete(ID)
    assert workers.two.pointed("name") is None
