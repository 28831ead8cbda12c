"""Ways to ask every dataset on the twin, drawn: parameters that find rows, and filters of values that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
from hypothesis import strategies as st
from sluice_query_engine.dataset import Dataset, Parameter
from sluice_query_engine.view import ChoiceFilter, MatchFilter, SetFilter

MACHINES: Final = "select distinct RESOURCEID from DWH.DW_MES_JOB"
LISTS: Final[Mapping[str, str]] = {
    "resource_ids": MACHINES,
    "equipment_ids": MACHINES,
    "job_ids": "select JOBID from DWH.DW_MES_JOB",
    "container_ids": "select distinct CONTAINERID from DWH.DW_MES_LOTWIPHISTORY",
    "workorders": "select distinct PJ_WORKORDER from DWH.DW_MES_LOTMATERIALSHISTORY where PJ_WORKORDER is not null",
    "material_lots": "select distinct MATERIALLOTNAME from DWH.DW_MES_LOTMATERIALSHISTORY"
    " where MATERIALLOTNAME is not null",
    "container_values": "select c.CONTAINERNAME from DWH.DW_MES_CONTAINER c semi join DWH.DW_MES_LOTREJECTHISTORY r"
    " on r.CONTAINERID = c.CONTAINERID",
    "stations": "select distinct WORK_CENTER_GROUP from DWH.DW_MES_SPEC_WORKCENTER_V",
    "packages": "select distinct trim(PRODUCTLINENAME) from DWH.DW_MES_CONTAINER where PRODUCTLINENAME is not null",
}
"""Where the values of lists come from, by the name of the parameter; other optional lists are left out."""

SESSIONS: Final = """
select h.EQUIPMENTID, c.CONTAINERNAME, cast(h.TRACKINTIMESTAMP as date)
from DWH.DW_MES_LOTWIPHISTORY h
join DWH.DW_MES_CONTAINER c on c.CONTAINERID = h.CONTAINERID
where h.EQUIPMENTID is not null
order by h.TRACKINTIMESTAMP, h.EQUIPMENTID, c.CONTAINERNAME
limit 200
"""
"""Machine, lot and day: what is asked together finds rows together only."""

FIRST, LAST = date(2025, 6, 20), date(2025, 12, 20)
"""Days between which every table of the twin has rows."""


@dataclass(frozen=True)
class Values:
    """Values that the twin has, by the name of the list parameter that takes them."""

    by_list: Mapping[str, Sequence[str]]
    sessions: Sequence[tuple[str, str, date]] = ()

    @classmethod
    def of(cls, plant: Path) -> Values:
        """Return the values of a plant."""
        with duckdb.connect(str(plant), read_only=True) as connection:
            found = {name: sorted(row[0] for row in connection.sql(text).fetchall()) for name, text in LISTS.items()}
            sessions = connection.sql(SESSIONS).fetchall()
        return cls(found, sessions)


@st.composite
def asked(draw: st.DrawFn, dataset: Dataset, values: Values) -> dict[str, object]:
    """Draw parameters of a dataset: every required one, a mode where there are several, and some lists."""
    if dataset.name == "adjacent-lots":
        return draw(around_a_session(values))
    given: dict[str, object] = {}
    refused: frozenset[str] = frozenset()
    required = {item.name for item in dataset.parameters if item.required}
    if dataset.modes is not None:
        mode = draw(st.sampled_from(dataset.modes.modes))
        given[dataset.modes.parameter] = mode.name
        refused, required = dataset.modes.refused(mode), required | set(mode.requires)
    if dataset.has_range and not refused & {item.name for item in dataset.parameters if item.role}:
        given |= draw(days(dataset))
    for item in dataset.parameters:
        if item.name not in given and item.name not in refused:
            value = draw(_value(item, values, required=item.name in required))
            if value is not None:
                given[item.name] = value
    return given


@st.composite
def around_a_session(draw: st.DrawFn, values: Values) -> dict[str, object]:
    """Draw a lot on a machine, and up to thirty days around."""
    machine, lot, day = draw(st.sampled_from(values.sessions))
    before, after = draw(st.integers(0, 15)), draw(st.integers(0, 15))
    start, end = day - timedelta(days=before), day + timedelta(days=after)
    return {"equipment_id": machine, "lot_id": lot, "start_date": start.isoformat(), "end_date": end.isoformat()}


@st.composite
def days(draw: st.DrawFn, dataset: Dataset) -> dict[str, object]:
    """Draw a range between a day and three months."""
    length = draw(st.integers(0, min(90, dataset.limits.max_range_days - 1)))
    first = draw(st.dates(FIRST, LAST - timedelta(days=length)))
    names = {item.role: item.name for item in dataset.parameters if item.role}
    last = first + timedelta(days=length)
    return {str(names["start_date"]): first.isoformat(), str(names["end_date"]): last.isoformat()}


def _value(item: Parameter, values: Values, *, required: bool) -> st.SearchStrategy[Any]:
    if item.type == "text_list" and item.name in values.by_list:
        known, most = values.by_list[item.name], min(item.max_items, 12)
        # Few draw few rows: what is required gets enough of them.
        some = st.lists(st.sampled_from(known), min_size=min(6, most), max_size=most, unique=True)
        return some if required else st.one_of(st.none(), st.none(), some)
    if not required or item.default is not None:
        return st.none()
    if item.type == "choice":
        return st.sampled_from(item.choices)
    raise LookupError(
        f"the twin has no values for the parameter {item.name}; name where they are in tests/every_dataset.py"
    )


@st.composite
def looked_at(draw: st.DrawFn, dataset: Dataset, options: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """Draw up to two filters, of values that the options offer, and parameters of views."""
    names = draw(st.lists(st.sampled_from([item.name for item in dataset.filters] or [""]), max_size=2, unique=True))
    given: dict[str, object] = {}
    for item in dataset.filters:
        offered = [value for value in options.get(item.name, ()) if value]
        if item.name not in names or not offered:
            continue
        match item:
            case ChoiceFilter():
                given[item.name] = draw(st.sampled_from(offered))
            case SetFilter() | MatchFilter():
                most = 3 if isinstance(item, SetFilter) else min(3, item.max_items)
                given[item.name] = draw(st.lists(st.sampled_from(offered[:5]), min_size=1, max_size=most, unique=True))
    for parameter in dataset.view_parameters:
        if parameter.type == "choice" and draw(st.booleans()):
            given[parameter.name] = draw(st.sampled_from(parameter.choices))
    return given
