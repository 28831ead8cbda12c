"""Second attempts: a full bucket, emptied by failures, refilled by successes."""

from __future__ import annotations

from sluice_query_engine.execution.retry_budget import RetryBudget


def test_a_full_bucket_gives_as_many_attempts_as_it_holds() -> None:
    budget = RetryBudget(2)
    assert [budget.take(), budget.take(), budget.take()] == [True, True, False]


def test_ten_successes_give_one_attempt_back() -> None:
    budget = RetryBudget(1)
    budget.take()
    for _ in range(9):
        budget.succeeded()
    before = budget.take()
    budget.succeeded()
    budget.succeeded()
    assert (before, budget.take()) == (False, True)


def test_successes_fill_no_more_than_the_bucket() -> None:
    budget = RetryBudget(1)
    for _ in range(100):
        budget.succeeded()
    assert [budget.take(), budget.take()] == [True, False]


def test_an_empty_budget_allows_no_second_attempt() -> None:
    assert not RetryBudget(0).take()
