"""The rules of the ledger of leases, one fact each, on a clock that the test moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sluice_warehouse.permit_ledger import LeaseLedger, Reply, Request

from tests.leased_permits import TERMS, end_grace, requests

RUN = "run-of-server"
TICK_MS = TERMS.tick_ms


class Server:
    """A ledger and the clock of its server."""

    def __init__(self) -> None:
        self.ledger = LeaseLedger()
        self.now_ms = 1_700_000_000_000
        self.run = RUN

    def ask(self, request: Request) -> Reply:
        """Answer at the present instant."""
        return self.ledger.answer(request, self.now_ms, self.run)

    def wait(self, milliseconds: int) -> None:
        """Let time pass while somebody beats."""
        beat = requests("bystander", incarnation=f"at {self.now_ms}")
        for passed in range(0, milliseconds, TICK_MS):
            self.now_ms += min(TICK_MS, milliseconds - passed)
            self.ask(beat(leaving=True))


@pytest.fixture
def server() -> Server:
    """A server whose ledger grants."""
    made = Server()
    end_grace(lambda request, now_ms: made.ledger.answer(request, now_ms, RUN), TERMS, made.now_ms)
    return made


def test_a_free_lease_is_granted(server: Server) -> None:
    reply = server.ask(requests("one")("a"))
    assert (reply.state, reply.granted, reply.free_count) == ("granting", True, 1)


def test_no_more_are_granted_than_there_are(server: Server) -> None:
    one, two = requests("one"), requests("two")
    granted = [server.ask(request).granted for request in (one("a"), two("b"), one("c"))]
    assert granted == [True, True, False]


def test_a_lease_given_back_is_granted_again(server: Server) -> None:
    one, two = requests("one"), requests("two")
    for request in (one("a"), two("b"), two(drops=("b",))):
        server.ask(request)
    assert server.ask(one("c")).granted


def test_nobody_gives_back_the_lease_of_another(server: Server) -> None:
    one, two = requests("one"), requests("two")
    for request in (one("a"), one("b"), two(drops=("a", "b"))):
        server.ask(request)
    assert not server.ask(two("c")).granted


def test_every_grant_has_a_higher_number(server: Server) -> None:
    one = requests("one")
    assert server.ask(one("a")).fence < server.ask(one("b")).fence


def test_an_owner_that_falls_silent_keeps_its_lease_for_the_longest_life_however_short_its_statement(
    server: Server,
) -> None:
    two = requests("two")
    server.ask(two("a", left_ms=10))
    server.ask(two("b", left_ms=10))
    server.wait(TERMS.life_ms - 1)
    late = requests("one")
    refused = server.ask(late("c")).granted
    server.wait(1)
    assert (refused, server.ask(late("d")).granted) == (False, True)


def test_an_empty_ledger_grants_nothing_for_the_longest_life_of_a_lease() -> None:
    server, one = Server(), requests("one")
    server.ask(one("a"))
    server.wait(TERMS.life_ms - 1)
    refused = server.ask(one("b"))
    server.wait(1)
    assert (refused.state, refused.granted, refused.grace_left_ms) == ("grace", False, 1)
    assert server.ask(one("c")).granted


@pytest.mark.parametrize("how", ["emptied", "restarted with its data"])
def test_a_ledger_that_may_have_forgotten_is_in_grace_again(server: Server, how: str) -> None:
    before = server.ask(requests("one")()).epoch
    if how == "emptied":
        server.ledger.empty()
    else:
        server.run = "another run"
    server.now_ms += 1
    reply = server.ask(requests("two")("a"))
    assert (reply.state, reply.granted, reply.epoch == before) == ("grace", False, False)


def test_a_lease_that_was_forgotten_is_written_in_again_during_grace(server: Server) -> None:
    one, two = requests("one"), requests("two")
    server.ask(one("a"))
    server.ledger.empty()
    lost = server.ask(one(holds=("a",), left_ms=30_000)).lost
    server.wait(TERMS.life_ms - TICK_MS)
    server.ask(one(holds=("a",), left_ms=1))
    server.wait(TICK_MS)
    granted = [server.ask(two("b")).granted, server.ask(two("c")).granted]
    # Written in again for a whole life, it ends when grace does.
    assert (lost, granted) == ((), [True, True])


def test_a_forgotten_lease_counts_as_soon_as_it_is_written_in(server: Server) -> None:
    server.ask(requests("one")("a"))
    server.ledger.empty()
    reply = server.ask(requests("one", incarnation="run of one")(holds=("x", "y", "z")))
    assert reply.lost == ("z",)


def test_a_hold_that_the_ledger_ended_is_lost(server: Server) -> None:
    one = requests("one")
    server.ask(one("a"))
    server.wait(TERMS.life_ms)
    assert server.ask(one(holds=("a",))).lost == ("a",)


@pytest.mark.parametrize("step_ms", [-86_400_000, -1, TICK_MS + 1, 86_400_000])
def test_a_clock_that_is_set_takes_no_lease_away(server: Server, step_ms: int) -> None:
    one, two = requests("one"), requests("two")
    server.ask(one("a"))
    server.ask(one("b"))
    server.now_ms += step_ms
    assert (server.ask(two("c")).granted, server.ask(one(holds=("a", "b"))).lost) == (False, ())


def test_the_margin_bears_small_steps_of_the_clock_within_one_lease(server: Server) -> None:
    one = requests("one")
    server.ask(one("a"))
    for _ in range(4):
        server.now_ms += TICK_MS
        server.ask(one(holds=("a",)))
    server.wait(TERMS.hold_ms)
    assert server.ask(one(holds=("a",))).lost == ()


def test_a_request_that_was_overtaken_changes_nothing(server: Server) -> None:
    one, two = requests("one"), requests("two")
    early, late = one("a"), one(drops=("a",))
    server.ask(late)
    reply = server.ask(early)
    assert (reply.state, reply.granted) == ("late", False)
    assert [server.ask(two("b")).granted, server.ask(two("c")).granted] == [True, True]


def test_two_living_processes_of_one_name_are_a_conflict_for_the_second(server: Server) -> None:
    server.ask(requests("one")())
    reply = server.ask(requests("one", incarnation="another")("a"))
    assert (reply.state, reply.granted) == ("conflict", False)


def test_a_name_is_free_once_its_process_has_left(server: Server) -> None:
    one = requests("one")
    server.ask(one())
    server.ask(one(leaving=True))
    assert server.ask(requests("one", incarnation="another")("a")).granted


def test_a_name_is_free_once_its_process_was_silent_for_three_beats(server: Server) -> None:
    server.ask(requests("one")())
    server.wait(TERMS.presence_ms)
    assert server.ask(requests("one", incarnation="another")("a")).granted


def test_what_a_killed_process_held_of_its_share_counts_against_its_successor_for_a_whole_life(server: Server) -> None:
    server.ask(requests("one")(share=("walk", "chunk")))
    server.wait(TERMS.presence_ms)
    again = requests("one", incarnation="another")
    first = server.ask(again())
    server.wait(TERMS.life_ms - 1)
    last = server.ask(again())
    server.wait(1)
    over = server.ask(again())
    assert [(reply.left_behind_count, reply.left_behind_ms) for reply in (first, last, over)] == [
        *((2, TERMS.life_ms), (2, 1), (0, 0)),
    ]


def test_what_was_left_behind_adds_up_over_crashes(server: Server) -> None:
    for incarnation in ("first", "second"):
        server.ask(requests("one", incarnation=incarnation)(share=("walk",)))
        server.wait(TERMS.presence_ms)
    assert server.ask(requests("one", incarnation="third")()).left_behind_count == 2


def test_a_process_that_leaves_with_its_share_in_use_frees_its_name_and_not_its_share(server: Server) -> None:
    one = requests("one")
    server.ask(one(share=("walk",)))
    server.ask(one(leaving=True, share=("walk",)))
    reply = server.ask(requests("one", incarnation="another")())
    assert (reply.state, reply.left_behind_count) == ("granting", 1)


def test_a_process_that_leaves_with_nothing_leaves_nothing_behind(server: Server) -> None:
    one = requests("one")
    server.ask(one(share=("walk",)))
    server.ask(one(leaving=True))
    assert server.ask(requests("one", incarnation="another")()).left_behind_count == 0


def test_a_process_with_other_terms_gets_nothing_while_others_live_by_theirs(server: Server) -> None:
    server.ask(requests("one")())
    other = replace(TERMS, plan="cap=9", lease_count=9)
    assert server.ask(requests("two", other)("a")).state == "terms"


def test_new_terms_hold_once_nobody_lives_by_the_old_ones_and_start_with_grace(server: Server) -> None:
    one = requests("one")
    server.ask(one("a"))
    server.ask(one(leaving=True))
    other = replace(TERMS, plan="cap=9", lease_count=9)
    assert server.ask(requests("two", other)("b")).state == "grace"


def test_processes_that_want_more_are_served_in_turn(server: Server) -> None:
    one, two = requests("one"), requests("two")
    server.ask(one("a", waiting_count=1))
    server.ask(one("b", waiting_count=1))
    # Both are out; one asks again at once, two a little later, and then they come back.
    for request in (one("c", waiting_count=2), two("d", waiting_count=1)):
        server.ask(request)
    server.now_ms += 1
    server.ask(one(drops=("a",), waiting_count=2))
    granted = [server.ask(one("e", waiting_count=2)).granted]
    server.ask(one(drops=("b",), waiting_count=1))
    granted += [server.ask(one("f", waiting_count=1)).granted, server.ask(two("g", waiting_count=1)).granted]
    assert granted == [True, False, True]


def test_a_waiter_that_fell_silent_is_passed_over(server: Server) -> None:
    one, two = requests("one"), requests("two")
    server.ask(one("a"))
    server.ask(one("b"))
    server.ask(two("c", waiting_count=1))
    server.wait(TERMS.presence_ms)
    server.ask(one(drops=("a",)))
    assert server.ask(one("d")).granted
