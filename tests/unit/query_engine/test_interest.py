"""Who still wants a query: starters, watchers, looks, and how long each counts."""

from __future__ import annotations

from sluice_query_engine.execution.interest import Interest, Patience

PATIENCE = Patience(after_look_s=60.0, after_watch_s=3.0)


def test_a_query_just_started_is_wanted_until_its_caller_should_have_looked() -> None:
    interest = Interest(PATIENCE, now=0.0)
    assert [interest.lost(at) for at in (0.0, 60.0, 60.1)] == [False, False, True]


def test_a_look_prolongs_it() -> None:
    interest = Interest(PATIENCE, now=0.0)
    interest.look(50.0)
    assert [interest.lost(at) for at in (110.0, 110.1)] == [False, True]


def test_a_watched_query_is_wanted_however_long_it_takes() -> None:
    interest = Interest(PATIENCE, now=0.0)
    interest.watch()
    assert not interest.lost(1e6)
    assert interest.idle_s(1e6) == 0.0


def test_its_only_watcher_gone_it_is_lost_after_the_grace() -> None:
    interest = Interest(PATIENCE, now=0.0)
    interest.watch()
    interest.leave(10.0)
    assert [interest.lost(at) for at in (13.0, 13.1)] == [False, True]


def test_with_a_second_caller_the_end_of_one_watch_takes_nothing_away() -> None:
    interest = Interest(PATIENCE, now=0.0)
    interest.start(1.0)
    interest.watch()
    interest.leave(10.0)
    assert not interest.lost(60.0)


def test_a_look_during_the_last_watch_counts_beyond_it() -> None:
    interest = Interest(PATIENCE, now=0.0)
    interest.watch()
    interest.look(9.0)
    interest.leave(10.0)
    assert [interest.lost(at) for at in (69.0, 69.1)] == [False, True]


def test_a_watcher_that_stays_keeps_it_when_another_leaves() -> None:
    interest = Interest(PATIENCE, now=0.0)
    interest.watch()
    interest.watch()
    interest.leave(10.0)
    assert not interest.lost(1e6)


def test_each_caller_withdraws_once_and_the_last_takes_it_all() -> None:
    interest = Interest(PATIENCE, now=0.0)
    interest.start(1.0)
    assert [interest.withdraw(), interest.withdraw()] == [False, True]


def test_who_withdraws_may_still_watch_but_a_second_watcher_is_somebody_else() -> None:
    alone, shared = Interest(PATIENCE, now=0.0), Interest(PATIENCE, now=0.0)
    alone.watch()
    shared.watch()
    shared.watch()
    assert (alone.withdraw(), shared.withdraw()) == (True, False)
