"""Every event domain on the twin: reviewed files, and a judge that shares no code with it.

Each answer is read twice: from the twin's file, and through the Oracle driver. `make golden` rewrites the files; a
person reads the diff.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
from sluice_twin import PLANT_TIME

from tests.event_rig import EventRig, event_rig
from tests.golden.events import event_judge
from tests.golden.events.event_judge import Raw, Row
from tests.warehouse_urls import DOORS, url_of

HERE = Path(__file__).parent
TABLES = (
    "CONTAINER", "LOTWIPHISTORY", "LOTMATERIALSHISTORY", "LOTREJECTHISTORY", "HOLDRELEASEHISTORY", "JOB",
    "SPEC_WORKCENTER_V",
)  # fmt: skip
REVIEWED = 40
"""Rows of a reviewed file at most."""
DOMAINS = list(event_judge.JUDGES)


@pytest.fixture(scope="module")
def raw(twin_path: Path) -> Raw:
    """Every row that a domain may read, as it stands in the plant."""
    with duckdb.connect(str(twin_path), read_only=True) as connection:
        return {name: connection.table(f"DWH.DW_MES_{name}").to_arrow_table().to_pylist() for name in TABLES}


@pytest.fixture(scope="module")
def ids(raw: Raw) -> list[str]:
    """Every container of the plant, those that only events name, and one that nobody knows: above one batch."""
    named = {
        row["CONTAINERID"] for table in ("CONTAINER", "LOTREJECTHISTORY", "HOLDRELEASEHISTORY") for row in raw[table]
    }
    return [*sorted({one.strip() for one in named if one is not None}), "f" * 16]


@pytest.fixture(scope="module", params=DOORS)
def rig(twin_path: Path, request: pytest.FixtureRequest) -> Iterator[EventRig]:
    """Events of the session's twin."""
    with url_of(twin_path, request.param) as url, event_rig(url) as started:
        yield started


def by_container(rows: list[Row]) -> dict[str, list[Row]]:
    """Return rows by container, in the order given."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row["CONTAINERID"], []).append(row)
    return grouped


def countable(rows: list[Row]) -> Counter[tuple[object, ...]]:
    """Return how often each row occurs, columns by name."""
    return Counter(tuple(row[name] for name in sorted(row)) for row in rows)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_agrees_with_the_judge(rig: EventRig, raw: Raw, ids: list[str], domain: str) -> None:
    answer = by_container(rig.read(domain, ids).table.to_pylist())
    verdict = by_container(event_judge.JUDGES[domain](raw, set(ids), PLANT_TIME))
    assert answer.keys() == verdict.keys()
    assert [lot for lot in verdict if countable(answer[lot]) != countable(verdict[lot])] == []


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_rows_of_a_container_are_in_the_domains_order(rig: EventRig, ids: list[str], domain: str) -> None:
    answer = by_container(rig.read(domain, ids).table.to_pylist())
    order = event_judge.ORDER[domain]
    assert [lot for lot, rows in answer.items() if list(map(order, rows)) != sorted(map(order, rows))] == []


@pytest.mark.parametrize("domain", DOMAINS)
def test_records_hold_what_the_stream_holds(rig: EventRig, ids: list[str], domain: str) -> None:
    rows = by_container(rig.read(domain, ids[:300]).table.to_pylist())
    told = {lot: [{name: _shown(value) for name, value in row.items()} for row in found] for lot, found in rows.items()}
    assert rig.ask(domain, ids[:300]).records == told


@pytest.mark.golden
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_answers_as_it_was_reviewed(
    rig: EventRig, raw: Raw, ids: list[str], domain: str, request: pytest.FixtureRequest
) -> None:
    rows = by_container(rig.read(domain, ids).table.to_pylist())
    first = [row for lot in sorted(rows) for row in rows[lot]][:REVIEWED]
    path = HERE / f"{domain}.csv"
    if request.config.getoption("--write-golden"):
        path.write_text(text_of(first), encoding="utf-8")
    assert text_of(first) == path.read_text(encoding="utf-8")


def text_of(rows: list[Row]) -> str:
    """Return rows as CSV; missing values are empty, instants ISO."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _shown(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _shown(value: object) -> object:
    return value.isoformat() if isinstance(value, date | datetime) else value


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_plant_has_rows_of_every_domain_for_many_containers(raw: Raw, ids: list[str], domain: str) -> None:
    assert len(by_container(event_judge.JUDGES[domain](raw, set(ids), PLANT_TIME))) > 50


def test_the_plant_has_what_makes_domains_differ(raw: Raw, ids: list[str]) -> None:
    partials = Counter(
        (row["CONTAINERID"], row["EQUIPMENTID"], row["SPECNAME"], row["TRACKINTIMESTAMP"])
        for row in raw["LOTWIPHISTORY"]
    )
    assert max(partials.values()) > 1, "no session went out in parts"
    assert any(row["EQUIPMENTID"] is None for row in raw["LOTWIPHISTORY"]), "no check point"
    assert any(row["DEFECTQTY"] for row in raw["LOTREJECTHISTORY"]), "no defect that was not charged off"
    assert any(row["LOSSREASONNAME"] is None for row in raw["LOTREJECTHISTORY"]), "every reason is filled in"
    assert any("," in (row["CONTAINERIDS"] or "") for row in raw["JOB"]), "no job names two containers"
    assert any(row["RELEASETXNDATE"] is None for row in raw["HOLDRELEASEHISTORY"]), "no hold is open"
