"""Results that are not what they were: columns renamed, gone, of another type or empty, and fewer rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from sluice_twin.oracle_wire.columns import DATE, LONGEST_VARCHAR2, NUMBER, ColumnType, ResultColumn, varchar2
from sluice_twin.oracle_wire.faults import FaultRule

_TYPES: Final[dict[str, ColumnType]] = {"VARCHAR2": varchar2(LONGEST_VARCHAR2), "NUMBER": NUMBER, "DATE": DATE}


def changed_columns(rule: FaultRule, columns: tuple[ResultColumn, ...]) -> tuple[ResultColumn, ...]:
    """Return the columns as the rule has them."""
    changed = []
    for column in columns:
        if not _meant(rule, column):
            changed.append(column)
        elif rule.do == "rename_column":
            changed.append(column.renamed(str(rule.to)))
        elif rule.do == "retype_column":
            changed.append(column.retyped(_TYPES[str(rule.to)]))
        elif rule.do == "null_column":
            changed.append(column)
    return tuple(changed)


def changed_batches(
    rule: FaultRule, columns: tuple[ResultColumn, ...], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows as the rule has them.

    Args:
        rule: one that changes results.
        columns: as they were.
        batches: rows as they were.
    """
    left = rule.row_count
    for batch in batches:
        kept = batch if left is None else batch.slice(0, left)
        if left is not None:
            left -= kept.num_rows
        arrays = [
            _changed(rule, array) if _meant(rule, column) else array
            for column, array in zip(columns, kept.columns, strict=True)
            if not (rule.do == "drop_column" and _meant(rule, column))
        ]
        if kept.num_rows:
            yield pa.RecordBatch.from_arrays(arrays, [str(position) for position in range(len(arrays))])
        if left == 0:
            return


def _meant(rule: FaultRule, column: ResultColumn) -> bool:
    return rule.column is not None and column.name.upper() == rule.column.upper()


def _changed(rule: FaultRule, array: Any) -> Any:
    if rule.do == "null_column":
        return pa.nulls(len(array), array.type)
    if rule.do != "retype_column":
        return array
    text = array.cast(pa.string())
    if rule.to == "VARCHAR2":
        return text
    length = pc.utf8_length(text).cast(pa.int64())
    return length if rule.to == "NUMBER" else length.cast(pa.timestamp("s"))
