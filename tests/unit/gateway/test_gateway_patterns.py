"""What is told to who gave a filter a text of the wrong form, and which texts have it."""

from __future__ import annotations

import pytest
from sluice_gateway import schemas
from sluice_gateway.body import JSON
from sluice_gateway.patterns import matches, wanted

DAY = r"^(?:(?<day>\d{4}-\d{2}-\d{2}):(?<event>new|release))$"
DAYS = r"^(?:(?<event>new|release):(?<first>\d{4}-\d{2}-\d{2})\.\.(?<last>\d{4}-\d{2}-\d{2}))$"
CREATED = r"^(?:(?<day>\d{4}-\d{2}-\d{2}):(?<event>created))$"


@pytest.mark.parametrize("text", ["2025-03-14:new\n", "\n2025-03-14:new", "2025-03-14:new ", "٢٠٢٥-03-14:new"])
def test_only_the_whole_text_matches_without_a_line_break_behind_it(text: str) -> None:
    assert matches(DAY, "2025-03-14:new")
    assert not matches(DAY, text)


@pytest.mark.parametrize(
    ("pattern", "examples", "told"),
    [
        (
            DAY,
            ["2025-03-14:new"],
            "must have the form YYYY-MM-DD:(new or release), for example 2025-03-14:new",
        ),
        (
            DAYS,
            ["new:2025-03-10..2025-03-16"],
            "must have the form (new or release):YYYY-MM-DD..YYYY-MM-DD, for example new:2025-03-10..2025-03-16",
        ),
        (CREATED, None, "must have the form YYYY-MM-DD:created"),
        (r"^(?:(?<id>[A-Z]+)-\d+)$", ["AB-12"], "must look like AB-12"),
        (r"^(?:(?<day>\d{4}-\d{2}-\d{2}).*)$", ["2025-03-14"], "must look like 2025-03-14"),
        ("x+", None, "must match x+"),
    ],
)
def test_the_form_of_a_filter_is_told_in_words_with_an_example(pattern: str, examples: JSON, told: str) -> None:
    assert wanted(pattern, examples) == told


def test_a_wrong_filter_names_its_form_and_never_an_expression() -> None:
    schema: dict[str, JSON] = {"type": "string", "pattern": DAY, "examples": ["2025-03-14:new"]}
    [violation] = schemas.check(schema, "yesterday", "day_filter")
    assert (violation.field, "(?" in violation.description, "2025-03-14:new" in violation.description) == (
        "day_filter",
        False,
        True,
    )
