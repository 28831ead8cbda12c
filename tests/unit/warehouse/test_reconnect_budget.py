"""The budget for replacing dead connections unseen."""

from __future__ import annotations

from sluice_warehouse.reconnect_budget import WINDOW_S, ReconnectBudget


def test_past_the_budget_nothing_more_is_replaced() -> None:
    budget = ReconnectBudget(2, lambda: 0.0)
    assert [budget.take() for _ in range(4)] == [True, True, False, False]


def test_what_is_a_minute_old_counts_no_more() -> None:
    times = iter([0.0, 30.0, 40.0, WINDOW_S + 1.0, WINDOW_S + 2.0])
    budget = ReconnectBudget(2, lambda: next(times))
    assert [budget.take() for _ in range(5)] == [True, True, False, True, False]


def test_no_budget_replaces_nothing() -> None:
    assert not ReconnectBudget(0).take()
