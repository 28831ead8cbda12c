"""Primary parameters: the one canonical form, and every violation told at once and briefly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import pytest
from sluice_query_engine.dataset import Dataset, Parameter, ParameterType
from sluice_query_engine.parameters import canonical, time_range
from sluice_rpc.errors import InvalidParameter

GOOD = {"start_date": "2025-03-01", "end_date": "2025-03-31"}


def violations(dataset: Dataset, given: Mapping[str, object]) -> dict[str, str]:
    """Return what is wrong, by field."""
    with pytest.raises(InvalidParameter) as caught:
        canonical(dataset, given)
    return {violation.field: violation.description for violation in caught.value.violations}


def with_parameter(dataset: Dataset, kind: ParameterType, **values: object) -> Dataset:
    """Return hold history with one more, optional parameter `extra`."""
    extra = replace(Parameter("extra", kind, "Extra", "Extra.", required=False), **values)  # type: ignore[arg-type]
    return replace(dataset, parameters=(*dataset.parameters, extra))


def test_dates_come_back_as_iso_in_declaration_order(dataset: Dataset) -> None:
    given = {"end_date": " 2025-03-31 ", "start_date": "2025-03-01"}
    assert list(canonical(dataset, given).items()) == [("start_date", "2025-03-01"), ("end_date", "2025-03-31")]


def test_both_days_of_the_range_are_included_from_half_past_seven(dataset: Dataset) -> None:
    covered = time_range(dataset, canonical(dataset, GOOD))
    assert (covered.start, covered.end) == (datetime(2025, 2, 28, 7, 30), datetime(2025, 3, 31, 7, 30))


def test_one_day_is_a_range(dataset: Dataset) -> None:
    covered = time_range(dataset, canonical(dataset, {"start_date": "2024-02-29", "end_date": "2024-02-29"}))
    assert (covered.start, covered.end) == (datetime(2024, 2, 28, 7, 30), datetime(2024, 2, 29, 7, 30))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "is required"),
        ("", "is not a date"),
        ("2024-02-30", "is not a day of the calendar"),
        ("2025-13-01", "is not a day of the calendar"),
        ("2025-3-1", "is not a date"),
        ("20250301", "is not a date"),
        ("2025-03-01T00:00:00", "is not a date"),
        ("٢٠٢٥-٠٣-٠١", "is not a date"),
        ("1969-12-31", "is not between 1970 and 2100"),
        ("2101-01-01", "is not between 1970 and 2100"),
        ("0000-01-01", "is not a day of the calendar"),
        (20250301, "is not a date"),
        (20250301.5, "is not a date"),
        (True, "true is not a date"),
        (["2025-03-01"], "a list is not a date"),
        ({"gt": "2025-03-01"}, "an object is not a date"),
        ("2025-03-01'; drop table x --", "is not a date"),
        ("2025-03-01\x00", "is not a date"),
    ],
)
def test_what_is_no_date_is_refused_by_name(dataset: Dataset, value: object, words: str) -> None:
    found = violations(dataset, {**GOOD, "start_date": value})
    assert list(found) == ["start_date"]
    assert words in found["start_date"]


def test_a_reversed_range_is_the_end_s_fault(dataset: Dataset) -> None:
    found = violations(dataset, {"start_date": "2025-03-02", "end_date": "2025-03-01"})
    assert found == {"end_date": "2025-03-01 is before start_date 2025-03-02"}


def test_730_days_are_allowed_and_731_are_not(dataset: Dataset) -> None:
    assert canonical(dataset, {"start_date": "2024-01-01", "end_date": "2025-12-30"})
    found = violations(dataset, {"start_date": "2024-01-01", "end_date": "2025-12-31"})
    assert found == {"end_date": "the range has 731 days; hold-history allows 730"}


def test_all_violations_are_told_at_once(dataset: Dataset) -> None:
    found = violations(dataset, {"start_date": "yesterday", "page": 1, "x": None})
    assert list(found) == ["page", "x", "start_date", "end_date"]


def test_view_time_filters_are_no_parameters(dataset: Dataset) -> None:
    assert "is not a parameter of hold-history" in violations(dataset, {**GOOD, "reason": "Low yield"})["reason"]


@pytest.mark.parametrize("text", ["x" * 100_000, "\x00\x1b" * 50_000, "保" * 100_000])
def test_a_hundred_kilobytes_are_echoed_in_a_few_characters(dataset: Dataset, text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        canonical(dataset, {"start_date": text, text: 1})
    assert len(caught.value.message) < 400
    assert caught.value.message.isprintable()


def test_a_flood_of_unknown_fields_is_counted_and_not_listed(dataset: Dataset) -> None:
    with pytest.raises(InvalidParameter) as caught:
        canonical(dataset, {**GOOD, **{f"field_{number}": 1 for number in range(1000)}})
    assert len(caught.value.violations) == 8
    assert caught.value.violations[-1].description.endswith("(and 992 more)")


@pytest.mark.parametrize(
    ("kind", "values", "given", "expected"),
    [
        ("text", {}, "  Ab c ", "Ab c"),
        ("text", {"fold": "upper"}, "ab", "AB"),
        ("text", {"fold": "lower"}, "AB", "ab"),
        ("choice", {"choices": ("lot", "order")}, "lot", "lot"),
        ("integer", {}, 7.0, 7),
        ("integer", {}, -3, -3),
        ("number", {}, 2.5, 2.5),
        ("number", {}, 2.0, 2),
        ("boolean", {}, False, False),
        ("text_list", {}, ["b", " a", "b "], ["a", "b"]),
        ("text_list", {}, "a", ["a"]),
        ("text_list", {"required": True}, [], []),
    ],
)
def test_each_type_has_one_form(
    dataset: Dataset, kind: ParameterType, values: Mapping[str, object], given: object, expected: object
) -> None:
    taken = canonical(with_parameter(dataset, kind, **values), {**GOOD, "extra": given})["extra"]
    assert (taken, type(taken)) == (expected, type(expected))


def test_an_optional_list_without_members_is_the_same_question_as_none(dataset: Dataset) -> None:
    assert canonical(with_parameter(dataset, "text_list"), {**GOOD, "extra": []}) == canonical(dataset, GOOD)


@pytest.mark.parametrize(
    ("kind", "values", "given", "words"),
    [
        ("text", {}, 5, "5 is not a text"),
        ("text", {}, " ", "is blank"),
        ("text", {}, "a\nb", "holds a control character"),
        ("text", {"max_length": 3}, "abcd", "is longer than 3 characters"),
        ("choice", {"choices": ("lot", "order")}, "LOT", "“LOT” is not one of lot, order"),
        ("integer", {}, 7.5, "7.5 is not a whole number"),
        ("integer", {}, True, "true is not a number"),
        ("integer", {}, "7", "“7” is not a number"),
        ("integer", {}, 10**400, "a huge number is not a number"),
        ("number", {}, float("nan"), "nan is not a number"),
        ("number", {}, float("inf"), "inf is not a number"),
        ("boolean", {}, "yes", "“yes” is neither true nor false"),
        ("boolean", {}, 1, "1 is neither true nor false"),
        ("text_list", {}, {"a": 1}, "an object is not a list of texts"),
        ("text_list", {}, ["a", 1], "1 is not a text"),
        ("text_list", {"max_items": 2}, ["a", "b", "c"], "has more than 2 items"),
    ],
)
def test_each_type_refuses_what_it_is_not(
    dataset: Dataset, kind: ParameterType, values: Mapping[str, object], given: object, words: str
) -> None:
    assert violations(with_parameter(dataset, kind, **values), {**GOOD, "extra": given}) == {"extra": words}


def test_an_optional_parameter_that_is_not_given_leaves_no_trace(dataset: Dataset) -> None:
    wider = with_parameter(dataset, "text")
    assert canonical(wider, {**GOOD, "extra": None}) == canonical(wider, GOOD) == GOOD


def test_an_empty_list_that_need_not_be_given_is_as_if_it_were_not(dataset: Dataset) -> None:
    wide = with_parameter(dataset, "text_list")
    assert canonical(wide, {**GOOD, "extra": []}) == canonical(wide, GOOD)
