"""Hold history without processes: hand-made or warehouse rows, clipped, derived and viewed in a plain DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise

import pyarrow as pa
from sluice_query_engine.dataset import Dataset
from sluice_warehouse import Warehouse

from tests.dataset_frames import ENGINE, DatasetFrame, Row, load, read, read_references

__all__ = [
    "ENGINE",
    "HoldFrame",
    "Row",
    "from_warehouse",
    "hand_made",
    "hold",
    "instant",
    "load",
    "read",
    "read_references",
]


def instant(text: str) -> datetime:
    """Return the instant of `MM-DD HH:MM[:SS]` in 2025."""
    return datetime.fromisoformat(f"2025-{text}")


def hold(history_id: str, held: str, released: str | None = None, **values: object) -> Row:
    """Return a row of a part: 100 pieces of lot A, held for `Die crack`, unless told otherwise."""
    return {
        "history_id": history_id,
        "container_id": values.get("lot_id", "A"),
        "lot_id": "A",
        "hold_reason_id": values.get("hold_reason", "Die crack"),
        "hold_reason": "Die crack",
        "qty": 100,
        "hold_time": instant(held),
        "release_time": None if released is None else instant(released),
        **values,
    }


class HoldFrame(DatasetFrame):
    """The tables of one query of holds, and its views.

    Args:
        parts: rows by part; a part that is not named is empty.
        references: every reference table by name.
    """

    def __init__(
        self,
        dataset: Dataset,
        parts: Mapping[str, pa.Table],
        start: date,
        end: date,
        as_of: datetime,
        references: Mapping[str, pa.Table],
    ) -> None:
        days = {"start_date": start.isoformat(), "end_date": end.isoformat()}
        super().__init__(dataset, parts, days, as_of, references)

    def narrowed(self, start: date, end: date) -> HoldFrame:
        """Return the frame of a range within this one, made of the same unclipped parts."""
        return HoldFrame(self.dataset, self._parts, start, end, self._as_of, self._references)

    def holds(self, order: str = "history_id") -> list[Row]:
        """Return the rows of the main table."""
        return self.main(order)

    def ids(self, filters: Mapping[str, object]) -> str:
        """Return the lots that the list shows, sorted and joined."""
        return "".join(sorted(row["lot_id"] for row in self.rows("list", filters)))


def hand_made(
    dataset: Dataset,
    slices: Sequence[Row],
    carried: Sequence[Row] = (),
    *,
    start: str = "03-10",
    end: str = "03-12",
    as_of: str = "03-20 12:00",
    groups: Mapping[str, str] | None = None,
) -> HoldFrame:
    """Return a frame of rows written by hand, over production days of 2025."""
    references = {item.name: item.inline_table() for item in dataset.references}
    mapped = [
        {"workcenter": center, "workcenter_group": group, "group_sequence": 1}
        for center, group in (groups or {}).items()
    ]
    groups_schema = next(item.schema for item in dataset.references if item.name == "workcenter_groups")
    references["workcenter_groups"] = pa.Table.from_pylist(mapped, schema=groups_schema)
    parts = {
        part.name: pa.Table.from_pylist(list(rows), schema=part.schema)
        for part, rows in zip(dataset.tables, (slices, carried), strict=True)
    }
    first, last = instant(f"{start} 00:00").date(), instant(f"{end} 00:00").date()
    return HoldFrame(dataset, parts, first, last, instant(as_of), references)


def from_warehouse(
    dataset: Dataset, warehouse: Warehouse, start: date, end: date, cuts: Iterable[datetime] = ()
) -> HoldFrame:
    """Return the frame of a query that was really read, the slice cut at the given instants."""
    covered = dataset.day_rule.range_of(start, end)
    slice_part, carry_in = (part for part in dataset.parts if not part.renews)
    edges = [covered.start, *cuts, covered.end]
    slices = [
        read(
            warehouse,
            slice_part.statement,
            slice_part.schema,
            {"start_time": first, "end_time": after, "row_limit": 1_000_000},
        )
        for first, after in pairwise(edges)
    ]
    carried = read(
        warehouse, carry_in.statement, carry_in.schema, {"start_time": covered.start, "row_limit": 1_000_000}
    )
    parts = {slice_part.name: pa.concat_tables(slices), carry_in.name: carried}
    return HoldFrame(dataset, parts, start, end, warehouse.plant_time(), read_references(dataset, warehouse))
