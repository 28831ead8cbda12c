"""Folders: what a wrong one says, with its file and key; that a second dataset needs no Python."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path

import pytest
from sluice_query_engine.catalog import Catalog, CatalogError, load_catalog
from sluice_query_engine.days import DayRule
from sluice_query_engine.errors import DatasetNotFound

from tests.unit.query_engine_datasets.hold_frames import ENGINE

Edit = Callable[[str, str, str], None]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of hold history and of the repository's references."""
    for name in ("datasets/hold-history", "references"):
        shutil.copytree(ENGINE / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def edit(tree: Path) -> Edit:
    """Replace one text of one file of the copy."""

    def replace(file: str, old: str, new: str) -> None:
        path = tree / file
        source = path.read_text(encoding="utf-8")
        assert old in source
        path.write_text(source.replace(old, new, 1), encoding="utf-8")

    return replace


def complaint(tree: Path) -> str:
    """Return what loading the copy complains of, without the path of the copy."""
    with pytest.raises(CatalogError) as caught:
        load_catalog(tree / "datasets", tree / "references")
    return str(caught.value).removeprefix(f"{tree}/")


TOML = "datasets/hold-history/dataset.toml"
DERIVE = "datasets/hold-history/derive.sql"
TREND = "datasets/hold-history/views/trend.sql"
PARETO = "datasets/hold-history/views/reason_pareto.sql"
SLICE = "datasets/hold-history/slice.sql"
RENEWED = "datasets/hold-history/renewed.sql"
DIVISION = f"{TOML}: derived.divide_by: derive.sql does not order by hold_time first"
REASONS = "references/non_quality_reasons/reference.toml"


IDLE_FILTER = """
[filters.idle]
kind = "match"
title = "Idle"
description = "No view has it."
column = "hold_reason"
null_label = "(none)"

"""


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (TOML, "version = 1", "version = true", f"{TOML}: version: is not a whole number"),
        (TOML, "version = 1", "version = 0", f"{TOML}: version: is 0, below 1"),
        (TOML, "version = 1", "version = 1\ncolour = 2", f"{TOML}: colour: is not a key that is known here"),
        (TOML, "parallel = 3", "paralel = 3", f"{TOML}: limits.parallel: is missing"),
        (
            TOML,
            "parallel = 3",
            "parallel = 3\ngrain_day = 31",
            f"{TOML}: limits.grain_day: is not a key that is known here",
        ),
        (TOML, 'label = "end"', 'label = "END"', f"{TOML}: day.label: is 'END', not one of end, start, calendar"),
        (TOML, "start = 07:30:00", 'start = "07:30"', f"{TOML}: day.start: is not a time of day"),
        (TOML, 'title = "From"', 'title = " "', f"{TOML}: parameters.start_date.title: is blank"),
        (TOML, 'role = "end_date"', "", f"{TOML}: parameters: exactly one required date has the role start_date"),
        (TOML, 'type = "date"', 'type = "day"', f"{TOML}: parameters.start_date.type: is 'day', not one of"),
        (TOML, '"int64"', '"int63"', f"{TOML}: parts.slice.columns.qty.type: 'int63' is no column type"),
        (TOML, 'columns_of = "slice"', 'columns_of = "x"', f"{TOML}: parts.carry_in.columns_of: 'x' is not a part"),
        (TOML, 'time_column = "hold_time"', 'time_column = "held"', f"{TOML}: parts.slice.time_column: 'held' is not"),
        (TOML, 'time_column = "hold_time"', 'time_column = "qty"', "time_column: 'qty' is not a timestamp"),
        (TOML, "hold_time < $end_time", "held < $end_time", f"{TOML}: clip: does not compile"),
        (TOML, "hold_time < $end_time", "hold_time < $until", f"{TOML}: clip: binds $until; there are as_of_time"),
        (TOML, 'references = ["workcenter_groups"', 'references = ["groups"', f"{TOML}: references: 'groups' is not"),
        (TOML, 'release_time is null"', 'released is null"', f"{TOML}: filters.record_type.on_hold: does not compile"),
        (TOML, 'default = "quality"', 'default = "good"', f"{TOML}: filters.hold_type.default: 'good' is not among"),
        (TOML, 'kind = "choice"', 'kind = "menu"', f"{TOML}: filters.hold_type.kind: is 'menu', not one of"),
        (TOML, 'column = "hold_reason"', 'column = "why"', f"{TOML}: filters.reason.column: does not compile"),
        (TOML, "new|release)", "new|release", f"{TOML}: filters.day_filter.pattern: is no regular expression"),
        (TOML, 'example = "2025-03-14:new"', 'example = "x"', f"{TOML}: filters.day_filter.example: does not match"),
        (
            TOML,
            'days = ["first", "last"]',
            'days = ["event"]',
            f"{TOML}: filters.days.days: is not two groups of dates",
        ),
        (TOML, 'select = "event"', 'select = "what"', f"{TOML}: filters.day_filter.pattern: has no group 'what'"),
        (TOML, 'filters = ["hold_type"', 'filters = ["type"', f"{TOML}: views.reason_pareto.filters: 'type' is not"),
        (TOML, "[filters.reason]", IDLE_FILTER + "[filters.reason]", f"{TOML}: filters: ['idle'] narrow no view"),
        (TOML, 'rows_view = "list"', 'rows_view = "trend"', f"{TOML}: rows_view: 'trend' is not paged"),
        (TOML, 'rows_view = "list"', 'rows_view = "rows"', f"{TOML}: rows_view: 'rows' is not among trend"),
        (TOML, '["trend", "reason', '["trends", "reason', f"{TOML}: initial_views: 'trends' is not among"),
        (TOML, 'measure = "qty"', 'measure = "pieces"', f"{TOML}: views.reason_pareto.measure: 'pieces' is not among"),
        (TOML, "note = { en", "note = { English", f"{TOML}: views.duration.note.English: is no language tag"),
        (TOML, "paged = true", "", f"{TOML}: views.list.paged: a paged view, and no other, has sort keys"),
        (TOML, "lot_id = {}", 'lot_id = { expression = "lot" }', f"{TOML}: views.list.sort.lot_id: does not compile"),
        (TOML, "cum_pct = {", "share = {", f"{TOML}: views.reason_pareto.columns: declares reason, hold_count"),
        (TOML, "is_future_hold = {", "planned = {", f"{TOML}: derived.columns: declares history_id"),
        (TOML, 'table = "holds"', 'table = "slice"', f"{TOML}: parts: parts, references and the derived table need"),
        (TOML, "[filters.hold_type]", "[filters.start_date]", "filters"),
        (TOML, "[limits]", "[limits", f"{TOML}: cannot be read"),
        (DERIVE, "from carry_in", "from carried", "datasets/hold-history: derived: does not compile"),
        (DERIVE, "-- One row", "/* One row", f"{DERIVE}: has no header comment"),
        (DERIVE, "order by hold.hold_time,", "order by hold.hold_time nulls first,", DIVISION),
        (DERIVE, "order by hold.hold_time,", "order by hold.hold_time desc,", DIVISION),
        (DERIVE, "order by hold.hold_time,", "order by date_trunc('day', hold.hold_time),", DIVISION),
        (TREND, "from holds", "from held", f"{TREND}: does not compile"),
        (TREND, "from holds", "from selected", f"{TREND}: reads `selected` exactly when filters are declared for it"),
        (PARETO, "from selected", "from holds", f"{PARETO}: reads `selected` exactly when filters are declared for it"),
        (PARETO, "order by qty desc, reason\n", "\n", f"{PARETO}: has no order by"),
        (PARETO, "sum(qty) as qty", "sum($least) as qty", f"{PARETO}: binds $least; there are"),
        (
            SLICE,
            "< :end_time",
            "< :until",
            f"{SLICE}: a part cut by time binds end_time, row_limit, start_time and",
        ),
        (TOML, 'renews = ["slice"', 'renews = ["other"', f"{TOML}: parts.renewed.renews: 'other' is not among slice"),
        (TOML, 'renews = ["slice", "carry_in"]', "", f"{TOML}: parts.renewed.id_parameter: exactly one of"),
        (TOML, 'id_column = "history_id"', "", f"{TOML}: parts.renewed.id_column: is missing"),
        (
            TOML,
            'id_column = "history_id"',
            'id_column = "qty"',
            f"{TOML}: parts.renewed.id_column: 'qty' is not a text",
        ),
        (
            TOML,
            'cut = "start"',
            'cut = "start"\nrenews = ["slice"]',
            f"{TOML}: parts.carry_in.renews: belongs to parts",
        ),
        (RENEWED, "in (:ids)", "= :ids", f"{RENEWED}: bind :ids of 'renewed' does not stand alone in an IN list"),
        (RENEWED, ":row_limit rows", "5 rows", f"{RENEWED}: a part cut by ids binds ids, row_limit and parameters"),
        (SLICE, "-- One row", "select 1 --", f"{SLICE}: has no header comment"),
        (
            TOML,
            "[value_labels.hold_type]",
            "[value_labels.type]",
            f"{TOML}: value_labels.type: is none of the parameters",
        ),
        (TOML, 'all = { en = "All"', 'any = { en = "Any"', f"{TOML}: value_labels.hold_type.any: is not among quality"),
        (TOML, '{ en = "All"', '{ English = "All"', f"{TOML}: value_labels.hold_type.all.English: is no language tag"),
        (REASONS, "ttl_s = 86400", "ttl_s = 0", f"{REASONS}: ttl_s: is 0, below 1"),
        (REASONS, 'reason = "Process trial"', "reason = 7", f"{REASONS}: rows: do not fit the declared columns"),
        (REASONS, 'reason = "Process trial"', 'name = "x"', f"{REASONS}: rows: row 3 does not have exactly"),
        (REASONS, "rows = [", 'statement = "x.sql"\nrows = [', f"{REASONS}: statement: exactly one of"),
    ],
)
def test_a_fault_is_told_with_file_and_key(tree: Path, edit: Edit, file: str, old: str, new: str, words: str) -> None:
    edit(file, old, new)
    assert words in complaint(tree)


def test_a_step_inside_another_expression_is_refused(tree: Path, edit: Edit) -> None:
    edit(DERIVE, "with placed as (", "with placed as (\n    with inner_step as (select history_id from slice)\n")
    edit(TOML, "[derived.steps.ranked]", "[derived.steps.inner_step]")
    assert complaint(tree) == f"{TOML}: derived.steps.inner_step: is no common table expression of derive.sql"


def test_a_missing_view_file_is_named(tree: Path) -> None:
    (tree / TREND).unlink()
    assert complaint(tree).startswith(f"{TREND}: cannot be read")


def test_a_folder_without_a_dataset_is_named(tree: Path) -> None:
    (tree / "datasets" / "empty").mkdir()
    assert complaint(tree).startswith("datasets/empty/dataset.toml: cannot be read")


def test_a_folder_with_a_strange_name_is_refused(tree: Path) -> None:
    (tree / "datasets" / "hold-history").rename(tree / "datasets" / "Hold History")
    assert "a dataset's name is lower-case words joined by hyphens" in complaint(tree)


def test_a_directory_that_is_not_there_is_named(tree: Path) -> None:
    shutil.rmtree(tree / "references")
    assert complaint(tree) == "references: cannot be read: No such file or directory"


def test_no_dataset_at_all_is_an_error(tree: Path) -> None:
    shutil.rmtree(tree / "datasets" / "hold-history")
    assert complaint(tree) == "datasets: holds no dataset folder"


def test_two_datasets_cannot_share_a_route(tree: Path) -> None:
    shutil.copytree(tree / "datasets" / "hold-history", tree / "datasets" / "again")
    path = tree / "datasets" / "again" / "dataset.toml"
    path.write_text(f'route = "hold-history"\n{path.read_text(encoding="utf-8")}', encoding="utf-8")
    assert "is already the route of again" in complaint(tree)


def test_a_second_folder_is_a_second_dataset(tree: Path) -> None:
    shutil.copytree(tree / "datasets" / "hold-history", tree / "datasets" / "again")
    catalog = load_catalog(tree / "datasets", tree / "references")
    assert [dataset.name for dataset in catalog] == ["again", "hold-history"]
    assert list(catalog.by_route) == ["again", "hold-history"]


def test_an_unknown_dataset_is_not_found_and_briefly_so(catalog: Catalog) -> None:
    with pytest.raises(DatasetNotFound) as caught:
        catalog.get("x" * 100_000)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("rule", "start", "end"),
    [
        (DayRule(time(7, 30), "end"), datetime(2024, 2, 28, 7, 30), datetime(2024, 3, 1, 7, 30)),
        (DayRule(time(7, 30), "start"), datetime(2024, 2, 29, 7, 30), datetime(2024, 3, 2, 7, 30)),
        (DayRule(time(0), "calendar"), datetime(2024, 2, 29), datetime(2024, 3, 2)),
    ],
)
def test_a_day_rule_turns_dates_into_half_open_instants(rule: DayRule, start: datetime, end: datetime) -> None:
    covered = rule.range_of(date(2024, 2, 29), date(2024, 3, 1))
    assert (covered.start, covered.end) == (start, end)


def test_each_day_rule_says_when_its_day_runs() -> None:
    told = [DayRule(time(7, 30), "end"), DayRule(time(7, 30), "start"), DayRule(time(0), "calendar")]
    assert [rule.describe() for rule in told] == [
        "A day runs from 07:30 of the day before to 07:30 of its own date, which it does not include.",
        "A day runs from 07:30 of its own date to 07:30 of the next, which it does not include.",
        "A day is the calendar date, from midnight to midnight.",
    ]
    assert [rule.translations()["zh-TW"] for rule in told] == [
        "一日自前一天 07:30 起，至當天 07:30 止（不含）。",
        "一日自當天 07:30 起，至隔天 07:30 止（不含）。",
        "一日為日曆日，自午夜至隔日午夜。",
    ]
