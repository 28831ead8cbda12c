"""Jobs, machines and rejects over a range on the twin: reviewed answers, and judges that share no code.

`make golden` rewrites the files; a person reads the diff.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from sluice_query_engine.catalog import Catalog
from sluice_warehouse import open_warehouse

from tests.dataset_frames import DatasetFrame, Row, from_warehouse, load
from tests.golden.answers import text_of
from tests.truth import machine_days, rejects
from tests.truth.raw_rows import Raw, in_any_order, lot_names, rows_of, within
from tests.warehouse_urls import DOORS, url_of

HERE = Path(__file__).parent
FIRST, LAST = date(2025, 11, 3), date(2025, 12, 31)
"""Two months: the plant's end, where production has a day that its hours have not."""

DAYS = {"start_date": FIRST.isoformat(), "end_date": LAST.isoformat()}
FIGURES = ("ou_pct", "availability_pct", "oee_pct", "yield_pct", "track_out_qty", "ng_qty")
HOURS = tuple(f"{state.lower()}_hours" for state in machine_days.STATES)
SHARES = tuple(f"{state.lower()}_pct" for state in machine_days.STATES)

VIEWS = [
    *(("job-query", view) for view in ("per_day", "list")),
    *(("job-activity", view) for view in ("list",)),
    *(("job-transactions", view) for view in ("list",)),
    *(
        ("resource-history", view)
        for view in ("kpi", "trend", "heatmap", "workcenter_comparison", "detail", "detail_by_date")
    ),
    *(
        ("reject-history", view)
        for view in ("summary", "trend", "analytics", "reason_pareto", "package_pareto", "type_pareto", "list", "count")
    ),
]


@dataclass
class Plant:
    """The twin: its datasets as they answer, and its raw rows."""

    path: Path
    catalog: Catalog
    machines: list[str]
    frames: dict[str, DatasetFrame]
    _raw: dict[str, list[Raw]] = field(default_factory=dict)

    def raw(self, table: str) -> list[Raw]:
        """Return every row of a table."""
        if table not in self._raw:
            self._raw[table] = rows_of(self.path, table)
        return self._raw[table]

    @cached_property
    def machine_days(self) -> list[machine_days.Day]:
        """What the judge of machines says of the range."""
        machines = machine_days.counted_machines(
            self.raw("DW_MES_RESOURCE"),
            self.raw("DW_MES_SPEC_WORKCENTER_V"),
            self.raw("DW_MES_RESOURCE_PACKAGEGROUP"),
        )
        return machine_days.machine_days(
            machines,
            self.raw("DW_MES_RESOURCESTATUS_SHIFT"),
            self.raw("DW_MES_LOTWIPHISTORY"),
            self.raw("DW_MES_LOTREJECTHISTORY"),
            FIRST,
            LAST,
        )

    @cached_property
    def rejects(self) -> list[Row]:
        """What the judge of rejects says of the range, before any policy."""
        listed = self.raw("ERP_PJ_WIP_SCRAP_REASONS_EXCLUDE")
        excluded = {row["REASON_NAME"].strip().upper() for row in listed if row["ENABLE_FLAG"] == "Y"}
        return rejects.reject_rows(
            self.raw("DW_MES_LOTREJECTHISTORY"),
            lot_names(self.raw("DW_MES_CONTAINER")),
            rejects.steps_of(self.raw("DW_MES_SPEC_WORKCENTER_V")),
            excluded,
            lambda row: within(row["TXNDATE"], FIRST, LAST),
        )


@pytest.fixture(scope="module", params=DOORS)
def plant(twin_path: Path, request: pytest.FixtureRequest) -> Iterator[Plant]:
    """The session's twin, read as a file and once more through the Oracle driver."""
    jobs = sorted(rows_of(twin_path, "DW_MES_JOB"), key=lambda row: (row["CREATEDATE"], row["JOBID"]))
    machines = sorted({row["RESOURCEID"] for row in jobs})[:20]
    catalog = load()
    asked: Mapping[str, Mapping[str, object]] = {
        "job-query": {**DAYS, "resource_ids": machines},
        "job-activity": {**DAYS, "resource_ids": machines},
        "job-transactions": {"job_ids": [row["JOBID"] for row in jobs[-3:]]},
        "resource-history": DAYS,
        "reject-history": DAYS,
    }
    with url_of(twin_path, request.param) as url, closing(open_warehouse(url)) as warehouse:
        frames = {name: from_warehouse(catalog.get(name), warehouse, given) for name, given in asked.items()}
        yield Plant(twin_path, catalog, machines, frames)


@pytest.mark.golden
@pytest.mark.parametrize(("dataset", "view"), VIEWS)
def test_a_view_answers_as_it_was_reviewed(
    plant: Plant, dataset: str, view: str, request: pytest.FixtureRequest
) -> None:
    answer = text_of(plant.frames[dataset].rows(view)[:25])
    path = HERE / dataset / f"{view}.csv"
    if request.config.getoption("--write-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(answer, encoding="utf-8")
    assert answer == path.read_text(encoding="utf-8")


def test_jobs_are_those_opened_on_the_machines_in_the_range(plant: Plant) -> None:
    told = [
        row
        for row in plant.raw("DW_MES_JOB")
        if row["RESOURCEID"] in plant.machines and within(row["CREATEDATE"], FIRST, LAST)
    ]
    measured = plant.frames["job-query"].exported()
    columns = ("JOBORDERNAME", "RESOURCENAME", "JOBSTATUS", "CREATEDATE", "COMPLETEDATE", "CAUSECODENAME")
    shown = ("job_order", "machine", "job_status", "create_time", "complete_time", "cause")
    told.sort(key=lambda row: (row["RESOURCENAME"], datetime.max - row["CREATEDATE"], row["JOBID"]))
    assert [[row[name] for name in shown] for row in measured] == [[row[name] for name in columns] for row in told]
    assert len(told) > 10


def test_activity_is_what_happened_in_the_range_whenever_the_job_was_opened(plant: Plant) -> None:
    jobs = {row["JOBID"]: row for row in plant.raw("DW_MES_JOB") if row["RESOURCEID"] in plant.machines}
    told = [
        (jobs[row["JOBID"]]["RESOURCENAME"], row["JOBID"], row["TXNDATE"], row["JOBSTATUS"])
        for row in plant.raw("DW_MES_JOBTXNHISTORY")
        if row["JOBID"] in jobs and within(row["TXNDATE"], FIRST, LAST)
    ]
    measured = plant.frames["job-activity"].exported()
    assert [(row["machine"], row["job_id"], row["transaction_time"], row["job_status"]) for row in measured] == sorted(
        told
    )


def test_transactions_are_those_of_the_jobs_oldest_first(plant: Plant) -> None:
    measured = plant.frames["job-transactions"].exported()
    wanted = {row["job_id"] for row in measured}
    told = [row["JOBTXNHISTORYID"] for row in plant.raw("DW_MES_JOBTXNHISTORY") if row["JOBID"] in wanted]
    assert (sorted(row["transaction_id"] for row in measured), len(wanted)) == (sorted(told), 3)
    assert [row["transaction_time"] for row in measured] == sorted(row["transaction_time"] for row in measured)


@pytest.mark.parametrize("group", [None, "Wire Bond"])
def test_the_figures_of_machines_agree_with_the_judge(plant: Plant, group: str | None) -> None:
    days = [day for day in plant.machine_days if group in (None, day.machine["GROUP"])]
    filters = {} if group is None else {"workcenter_group": group}
    frame = plant.frames["resource-history"]
    names = (*FIGURES, *HOURS, *SHARES, "machine_count")
    assert frame.rows("kpi", filters) == [machine_days.figures(days, names)]
    told = machine_days.grouped(days, lambda day: day.machine["RESOURCENAME"])
    measured = {row["machine"]: {name: row[name] for name in names} for row in frame.exported(filters)}
    assert measured == {machine: machine_days.figures(members, names) for machine, members in told.items()}


@pytest.mark.parametrize("granularity", ["day", "week", "month", "year"])
def test_the_trends_of_machines_agree_with_the_judge(plant: Plant, granularity: str) -> None:
    frame, given = plant.frames["resource-history"], {"granularity": granularity}
    told = machine_days.grouped(plant.machine_days, lambda day: machine_days.bucket(day.day, granularity))
    names = (*FIGURES, *HOURS)
    assert frame.rows("trend", given) == [
        {"date": label} | machine_days.figures(told[label], names) for label in sorted(told)
    ]
    places = {
        group: min(day.machine["SEQUENCE"] for day in days)
        for group, days in machine_days.grouped(plant.machine_days, lambda day: day.machine["GROUP"]).items()
    }
    cells = machine_days.grouped(
        plant.machine_days, lambda day: (day.machine["GROUP"], machine_days.bucket(day.day, granularity))
    )
    assert frame.rows("heatmap", given) == [
        {"workcenter": group, "workcenter_sequence": places[group], "date": label}
        | machine_days.figures(cells[group, label], ("ou_pct", "oee_pct", "availability_pct"))
        for group, label in sorted(cells, key=lambda key: (places[key[0]], *key))
    ]


def test_the_work_centres_agree_with_the_judge(plant: Plant) -> None:
    told = machine_days.grouped(plant.machine_days, lambda day: day.machine["GROUP"])
    names = ("ou_pct", "prd_hours", "machine_count")
    rows = [{"workcenter": group} | machine_days.figures(days, names) for group, days in told.items()]
    rows.sort(key=lambda row: (row["ou_pct"] is None, -(row["ou_pct"] or 0), row["workcenter"]))
    assert plant.frames["resource-history"].rows("workcenter_comparison") == rows


def test_machines_by_week_agree_with_the_judge(plant: Plant) -> None:
    told = machine_days.grouped(
        plant.machine_days, lambda day: (day.machine["RESOURCEID"], machine_days.bucket(day.day, "week"))
    )
    measured = plant.frames["resource-history"].exported({"granularity": "week"}, "detail_by_date")
    names = ("ou_pct", "availability_pct", *HOURS, *SHARES)
    assert {(row["resource_id"], row["date"]): tuple(row[name] for name in names) for row in measured} == {
        key: tuple(machine_days.figures(days, names).values()) for key, days in told.items()
    }


REJECT_SELECTIONS: Mapping[str, tuple[dict[str, Any], Any]] = {
    "first look": ({}, rejects.by_policy),
    "everything": (
        {"include_excluded_scrap": "true", "exclude_material_scrap": "false", "exclude_pb_diode": "false"},
        lambda rows: rows,
    ),
    "two packages with defects": (
        {"package": ["SMA", "SMB"], "metric_filter": "defect"},
        lambda rows: [
            row for row in rejects.by_policy(rows) if row["package"] in ("SMA", "SMB") and row["defect_qty"] > 0
        ],
    ),
    "not filled": (
        {"include_excluded_scrap": "true", "loss_reason": "(not filled)"},
        lambda rows: [row for row in rejects.by_policy(rows, excluded=True) if row["loss_reason"] == "(not filled)"],
    ),
    "a group": (
        {"workcenter_group": "Wire Bond"},
        lambda rows: [row for row in rejects.by_policy(rows) if row["workcenter_group"] == "Wire Bond"],
    ),
}


@pytest.mark.parametrize("selection", REJECT_SELECTIONS.values(), ids=REJECT_SELECTIONS)
def test_the_figures_of_rejects_agree_with_the_judge(plant: Plant, selection: tuple[dict[str, Any], Any]) -> None:
    filters, chosen = selection
    told, frame = chosen(plant.rejects), plant.frames["reject-history"]
    assert told
    assert frame.rows("summary", filters) == [rejects.summary(told)]
    assert frame.rows("analytics", filters) == rejects.analytics(told)
    for granularity in ("day", "week", "month"):
        given = {**filters, "granularity": granularity}
        assert frame.rows("trend", given) == rejects.trend(told, granularity)
    shown = [
        {name: value for name, value in row.items() if name not in ("event", "counts", "material")} for row in told
    ]
    assert in_any_order(frame.exported(filters)) == in_any_order(shown)
    assert frame.rows("count", filters) == [{"row_count": len(told)}]


@pytest.mark.parametrize("scope", ["top80", "all"])
@pytest.mark.parametrize("metric", ["reject_total", "defect"])
def test_the_paretos_of_rejects_agree_with_the_judge(plant: Plant, metric: str, scope: str) -> None:
    told, frame = rejects.by_policy(plant.rejects), plant.frames["reject-history"]
    given = {"metric_mode": metric, "scope": scope}
    for view, column in (("reason", "loss_reason"), ("package", "package"), ("type", "pj_type")):
        wanted = rejects.pareto(told, column, f"{metric}_qty", everything=scope == "all")
        assert frame.rows(f"{view}_pareto", given) == wanted


def test_a_choice_in_one_pareto_narrows_the_other_two(plant: Plant) -> None:
    told, frame = rejects.by_policy(plant.rejects), plant.frames["reject-history"]
    chosen = {"sel_reason": "602_Burr", "sel_type": ["Zener", "BJT"]}
    of_reason = [row for row in told if row["loss_reason"] == "602_Burr"]
    of_type = [row for row in told if row["pj_type"] in ("Zener", "BJT")]
    both = [row for row in of_reason if row in of_type]
    assert frame.rows("reason_pareto", chosen) == rejects.pareto(of_type, "loss_reason")
    assert frame.rows("type_pareto", chosen) == rejects.pareto(of_reason, "pj_type")
    assert frame.rows("package_pareto", chosen) == rejects.pareto(both, "package")
    assert frame.rows("count", chosen) == [{"row_count": len(both)}]
    assert both


def test_rejects_come_newest_first(plant: Plant) -> None:
    times = [row["txn_time"] for row in plant.frames["reject-history"].exported()]
    assert times == sorted(times, reverse=True)
