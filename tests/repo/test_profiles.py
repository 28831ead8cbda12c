"""What a run of the tests says about the tests it did not run."""

from __future__ import annotations

from tests.profiles import left_out


def test_a_run_of_everything_says_nothing() -> None:
    assert left_out({"passed": ["one", "two"]}, "", "") == []


def test_tests_outside_the_selection_are_counted_with_what_selected() -> None:
    assert left_out({"deselected": ["one", "two"]}, "hypothesis", "") == ["2 tests do not match -m 'hypothesis'"]


def test_tests_that_were_collected_and_did_not_count_are_named_by_how() -> None:
    assert left_out({"xfailed": ["one"]}, "", "") == ["1 tests xfailed"]
