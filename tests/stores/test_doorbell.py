"""Workers of one machine: news, joins, stops and deaths, between stores in one process and in several."""

from __future__ import annotations

import signal

import gevent
import pytest

from millstream.stores.doorbell import Doorbell
from millstream.stores.file import TICK
from tests.stores.samples import ID, OTHER, done, log, message, meta, until


class Woken:
    """Counts; `again()` waits for one more."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1

    def again(self) -> None:
        before = self.times
        until(lambda: self.times > before)


@pytest.fixture
def no_ticks(monkeypatch):
    """Leaves the doorbell alone to bring the news."""
    monkeypatch.setattr("millstream.stores.file.TICK", 3600)


def test_a_watcher_is_woken_by_each_append(no_ticks, files):
    files.one.create(meta(files.one))
    woken = Woken()
    files.two.watch(ID, woken)
    woken.again()  # the answer to the join
    for event in (message(1), message(2), done(3)):
        files.one.append(ID, [event])
        woken.again()
        assert log(files.two)[-1] == event


def test_what_was_appended_before_the_join_was_heard_is_rung_too(no_ticks, files):
    files.one.create(meta(files.one))
    woken = Woken()
    files.two.watch(ID, woken)
    files.one.append(ID, [message(1)])  # the join is still in the socket
    woken.again()


def test_the_owner_hears_of_the_first_watcher_and_of_the_last(no_ticks, files):
    files.one.create(meta(files.one))
    ends = [files.two.watch(ID, lambda: None) for _ in range(3)]
    until(lambda: files.said == [(files.two.worker, ID, "join")])
    ends[0]()
    ends[2]()
    ends[2]()
    gevent.sleep(0.05)
    assert len(files.said) == 1
    ends[1]()
    until(lambda: files.said[1:] == [(files.two.worker, ID, "leave")])
    again = files.two.watch(ID, lambda: None)
    until(lambda: files.said[2:] == [(files.two.worker, ID, "join")])
    again()


def test_a_watch_that_has_ended_is_not_woken(no_ticks, files):
    files.one.create(meta(files.one))
    ended, other = Woken(), Woken()
    end = files.two.watch(ID, ended)
    files.two.watch(ID, other)
    other.again()
    end()
    times = ended.times
    files.one.append(ID, [message(1)])
    other.again()
    assert ended.times == times


def test_a_listener_that_fails_does_not_make_the_worker_deaf(no_ticks, files, caplog):
    def fail():
        raise RuntimeError("on purpose")

    files.one.create(meta(files.one))
    woken = Woken()
    files.two.watch(ID, fail)
    files.two.watch(ID, woken)
    woken.again()
    files.one.append(ID, [message(1)])
    woken.again()
    assert "on purpose" in caplog.text


def test_a_stop_from_elsewhere_comes_to_the_owner(no_ticks, files):
    files.one.create(meta(files.one))
    files.two.tell(ID, "stop")
    until(lambda: files.said == [(files.two.worker, ID, "stop")])


def test_joining_twice_is_heard_once(no_ticks, files):
    files.one.create(meta(files.one))
    for word in ("join", "join", "leave", "leave", "stop"):
        files.two.tell(ID, word)
    until(lambda: (files.two.worker, ID, "stop") in files.said)
    assert [word for _, _, word in files.said] == ["join", "leave", "stop"]


def test_a_watcher_is_woken_when_its_log_is_erased_elsewhere(files):
    files.one.create(meta(files.one))
    woken = Woken()
    files.two.watch(ID, woken)
    woken.again()
    files.one.delete(ID)
    woken.again()


def test_a_watcher_is_woken_at_once_when_its_log_is_erased_here(no_ticks, files):
    files.one.create(meta(files.one))
    woken = Woken()
    files.two.watch(ID, woken)
    files.two.delete(ID)
    assert woken.times == 1


def test_a_log_that_grew_is_news_once(files, monkeypatch):
    files.one.create(meta(files.one))
    monkeypatch.setattr(Doorbell, "say", lambda *words: None)
    woken = Woken()
    files.two.watch(ID, woken)
    woken.again()  # the first look
    files.one.append(ID, [message(1)])
    woken.again()
    times = woken.times
    gevent.sleep(3 * TICK)
    assert woken.times == times


def test_news_whose_ring_was_lost_is_noticed_by_the_ticker(files, monkeypatch):
    files.one.create(meta(files.one))
    woken = Woken()
    files.two.watch(ID, woken)
    woken.again()
    monkeypatch.setattr(Doorbell, "say", lambda *words: None)
    files.one.append(ID, [message(1)])
    woken.again()


def test_words_survive_a_full_socket_in_their_order(no_ticks, files):
    ids = [f"{n:022d}" for n in range(300)]
    for id in ids:
        files.one.create(meta(files.one, id))
    ends = [files.two.watch(id, lambda: None) for id in ids]  # nobody listens in between
    for end in ends[::2]:
        end()
    for id in ids[::4]:
        files.two.watch(id, lambda: None)
    staying = set(ids) - set(ids[2::4])
    until(lambda: joined(files.said) == staying)


def test_many_words_at_once_are_heard_in_their_order(tmp_path):
    heard = []
    one = Doorbell(tmp_path, "1-00000001", lambda said: heard.extend(apart(said)), lambda worker: None)
    two = Doorbell(tmp_path, "1-00000002", lambda said: None, lambda worker: None)
    said = [("news" if n % 4000 else "stop", "1-00000002", f"{n:022d}") for n in range(8000)]
    for word, _, id in said:
        two.say("1-00000001", word, id)
    until(lambda: len(heard) == len(said))
    assert heard == said
    one.close()
    two.close()


def apart(said):
    word, worker, *ids = said.decode().split(" ")
    return [(word, worker, id) for id in ids]


def joined(said):
    ids = set()
    for _, id, word in said:
        (ids.add if word == "join" else ids.discard)(id)
    return ids


def test_news_survive_a_reader_that_stands_still(no_ticks, files, process):
    ids = [f"{n:022d}" for n in range(300)]
    worker = process()
    for id in ids:
        files.one.create(meta(files.one, id))
        worker.say("watch", id)
    until(lambda: len(files.said) == len(ids))
    heard_of(worker, ids)
    worker.process.send_signal(signal.SIGSTOP)
    for id in ids:
        files.one.append(id, [message(1)])
    gevent.sleep(0.05)
    worker.process.send_signal(signal.SIGCONT)
    heard_of(worker, ids)


def heard_of(worker, ids):
    """Waits until it was woken for each."""
    missing = set(ids)
    while missing:
        missing.discard(worker.hear().removeprefix("woken "))


def test_a_watcher_in_another_process_is_woken(files, process):
    worker = process()
    files.one.create(meta(files.one))
    worker.say("watch", ID)
    until(lambda: files.said == [(worker.name, ID, "join")])
    files.one.append(ID, [message(1, "hello")])
    heard_of(worker, [ID])
    worker.say("unwatch", ID)
    until(lambda: files.said[1:] == [(worker.name, ID, "leave")])


def test_a_killed_follower_is_a_leave_for_each_running_stream(files, process):
    worker = process()
    ended = "c" * 22
    for id in (ID, OTHER, ended):
        files.one.create(meta(files.one, id))
        worker.say("watch", id)
    until(lambda: len(files.said) == 3)
    files.one.append(ended, [done(1)])
    worker.kill()
    until(lambda: len(files.said) == 5)
    assert sorted(files.said[3:]) == [(worker.name, ID, "leave"), (worker.name, OTHER, "leave")]


def test_a_killed_follower_is_noticed_by_the_next_append(no_ticks, files, process):
    worker = process()
    files.one.create(meta(files.one))
    worker.say("watch", ID)
    until(lambda: files.said)
    worker.kill()
    files.one.append(ID, [message(1)])
    assert files.said[1:] == [(worker.name, ID, "leave")]


def test_a_killed_owner_wakes_its_watchers_and_exactly_one_seizes(files, process):
    owner, third = process(), process()
    owner.ask("create", ID)
    owner.ask("append", ID, 1)
    woken = Woken()
    files.two.watch(ID, woken)
    assert owner.hear() == f"told {files.two.worker} {ID} join"
    assert files.two.seize(ID) is False
    owner.kill()
    woken.again()  # perhaps the answer to the join
    woken.again()
    third.say("seize", ID, 20)
    tries = [gevent.spawn(store.seize, ID) for _ in range(20) for store in (files.one, files.two)]
    gevent.joinall(tries, raise_error=True)
    assert sum(each.value for each in tries) + int(third.hear()) == 1


def test_a_stream_seized_elsewhere_wakes_those_who_wait_for_it(files, process):
    owner = process()
    owner.ask("create", ID)
    woken = Woken()
    files.two.watch(ID, woken)
    owner.kill()
    until(lambda: files.one.seize(ID))
    files.one.append(ID, [done(1)])
    until(lambda: log(files.two) == [done(1)])
    woken.again()


def test_a_stream_seized_here_wakes_its_own_watchers_at_once(no_ticks, files, process):
    owner = process()
    owner.ask("create", ID)
    woken = Woken()
    files.one.watch(ID, woken)
    owner.kill()
    assert files.one.seize(ID) is True
    before = woken.times
    files.one.append(ID, [done(1)])
    assert woken.times == before + 1


def test_a_dead_owner_hears_nothing_and_nobody_minds(files, process):
    owner = process()
    owner.ask("create", ID)
    owner.kill()
    files.one.tell(ID, "stop")
    files.one.watch(ID, lambda: None)()
    assert files.said == []
