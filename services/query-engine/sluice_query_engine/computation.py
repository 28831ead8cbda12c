"""What a dataset's views and filters compute, told to whoever looks at a stored table elsewhere, such as the web page.

It is the declared SQL itself and no second description of it, so that two places cannot come to mean different things.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from google.protobuf import json_format, struct_pb2

from sluice_query_engine.dataset import Dataset
from sluice_query_engine.view import ChoiceFilter, Filter, MatchFilter, PatternFilter, SetFilter, View

_JsonObject = dict[str, object]


def to_struct(dataset: Dataset, columns: Mapping[str, pa.Schema]) -> struct_pb2.Struct:
    """Return `table`, `filters` and `views` as docs/http.md describes them.

    Args:
        columns: output columns of each view by name, as compiling them found them.
    """
    value: _JsonObject = {
        "table": dataset.derived.name,
        "filters": {item.name: _filter(item) for item in dataset.filters},
        "views": {view.name: _view(dataset, view, columns[view.name]) for view in dataset.views},
    }
    return json_format.ParseDict(value, struct_pb2.Struct())


def _filter(item: Filter) -> _JsonObject:
    match item:
        case ChoiceFilter():
            return {"kind": "choice", "predicates": dict(item.predicates), "default": item.default}
        case SetFilter():
            return {"kind": "set", "predicates": dict(item.predicates), "default": [*item.default]}
        case MatchFilter():
            return {"kind": "match", "column": item.column, "null_label": item.null_label, "keeps": item.keeps}
        case PatternFilter():
            return {
                "kind": "pattern",
                "pattern": item.pattern,
                "groups": dict(item.groups),
                "select": item.select,
                "predicates": dict(item.predicates),
            }


def _view(dataset: Dataset, view: View, schema: pa.Schema) -> _JsonObject:
    own = {item.name: item.default for item in dataset.view_parameters if item.name in view.parameters}
    return {
        "sql": view.sql,
        "filters": [*view.filters],
        "columns": [
            {"name": column.name, "type": str(field.type)} for column, field in zip(view.columns, schema, strict=True)
        ],
        "paged": view.paged,
        "sort": [
            {"name": key.name, "expression": key.expression, "descending": key.descending} for key in view.sort_keys
        ],
        "tiebreaker": view.tiebreaker,
        "parameters": own,
    }
