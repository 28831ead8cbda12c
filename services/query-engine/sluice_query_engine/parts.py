"""Where the tables of a query come from: parts, which the warehouse answers, and stages, which lineage computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from sluice_query_engine.days import DayRule

if TYPE_CHECKING:
    from sluice_warehouse.statements import Statement


@dataclass(frozen=True)
class Pages:
    """How a chunk of many rows is read: counted first, then page by page in a total order.

    Attributes:
        count: yields `row_count`, the rows of the range.
        page: yields the rows between the places :first_row and :last_row, both included and counted from 1, in order.
        order_key: columns of the order, ascending; the unique key is among them.
    """

    count: Statement
    page: Statement
    order_key: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """One statement of a dataset; it yields one table of the manifest, named like the part.

    Attributes:
        schema: declared Arrow types of the statement's columns, in order; field metadata `description` says meanings.
        cut: `time`: binds :start_time, :end_time and :row_limit and may be cut between them. `start`: binds
            :start_time and :row_limit and depends on the start of the range only, so it is one chunk. `ids`: binds
            :ids, as the one element of IN lists, and :row_limit, and may be cut into any sets of ids.
        time_column: the column on which the part is cut; each row has exactly one value there. Empty where the part is
            cut by ids and has none.
        open_column: a row whose value here is NULL may still change; None when rows never change.
        dictionary_columns: columns of few distinct values, stored dictionary-encoded.
        id_column: the text column that :ids compares; empty for parts that are not cut by ids.
        id_parameter: the text list whose values are the ids; empty where they come from elsewhere.
        ids_from: SELECT over parts before this one whose one column is the ids; empty where they come from elsewhere.
        id_sources: the parts and stages that it reads.
        id_width: characters to which ids are blank-padded where :ids is compared with a CHAR column; 0 pads nothing.
        renews: parts of which it reads again the rows that were open, by the ids these had. It then has their columns
            and yields no table of its own.
        pages: how a chunk of more than `rows_per_chunk` rows is read in pages; None reads it by one statement.
        pad_days: days by which the range of the query is widened on both sides for this part.
        day_rule: how dates become instants for this part; None is as the dataset says.
    """

    name: str
    statement: Statement
    schema: pa.Schema
    cut: Literal["time", "start", "ids"]
    time_column: str
    open_column: str | None
    dictionary_columns: tuple[str, ...] = ()
    id_column: str = ""
    id_parameter: str = ""
    ids_from: str = ""
    id_sources: tuple[str, ...] = ()
    id_width: int = 0
    renews: tuple[str, ...] = ()
    pages: Pages | None = None
    pad_days: int = 0
    day_rule: DayRule | None = None

    @property
    def own_range(self) -> bool:
        """Its range is another than that of the query."""
        return self.pad_days > 0 or self.day_rule is not None

    @property
    def of_range(self) -> bool:
        """Its batches of ids are of the query's range: another range has other chunks."""
        return self.cut == "ids" and "start_time" in self.statement.bind_names

    def padded(self, ids: Sequence[str]) -> list[str]:
        """Return ids as the statement compares them."""
        return [one.ljust(self.id_width) for one in ids]


@dataclass(frozen=True)
class Stage:
    """A table that the lineage service computes; it is one of the manifest's, named like the stage.

    Attributes:
        schema: Arrow types of its columns, in order.
        source: `containers`, `lineage.ancestors`, `lineage.descendants` or `events.<domain>`.
        ids_from: SELECT over tables before this one whose one column is the ids; empty for `containers`.
        id_sources: the parts and stages that it reads.
        table: which table of a genealogy; empty for others.
        values_parameter: of `containers`: the text list of what was typed.
        kind_parameter: of `containers`: the choice that says what it is.
        dictionary_columns: columns of few distinct values, stored dictionary-encoded.
    """

    name: str
    schema: pa.Schema
    source: str
    ids_from: str = ""
    id_sources: tuple[str, ...] = ()
    table: str = ""
    values_parameter: str = ""
    kind_parameter: str = ""
    dictionary_columns: tuple[str, ...] = ()
