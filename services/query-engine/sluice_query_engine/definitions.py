"""What users are told of a dataset: the proto with JSON Schemas (2020-12) of its parameters and filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import pyarrow as pa
from google.protobuf import json_format, struct_pb2
from sluice.query.v1 import query_service_pb2 as pb

from sluice_query_engine.dataset import (
    ChoiceFilter,
    Dataset,
    Filter,
    MatchFilter,
    Parameter,
    PatternFilter,
    SetFilter,
    View,
)

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_JsonObject: TypeAlias = dict[str, object]


def to_proto(dataset: Dataset, columns: Mapping[str, pa.Schema]) -> pb.Dataset:
    """Return the dataset as users see it.

    Args:
        columns: output columns of each view by name, as compiling them found them.
    """
    return pb.Dataset(
        name=dataset.name,
        route=dataset.route,
        title=dataset.title,
        description=dataset.description,
        version=dataset.version,
        parameters_schema=_struct(parameters_schema(dataset)),
        filters_schema=_struct(filters_schema(dataset)),
        views=[_view(view, columns[view.name]) for view in dataset.views],
        initial_views=dataset.initial_views,
        day_rule=dataset.day_rule.describe(),
        max_range_days=dataset.limits.max_range_days,
    )


def parameters_schema(dataset: Dataset) -> _JsonObject:
    """Return the JSON Schema of the primary parameters: an object that allows no other properties."""
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {item.name: _parameter_schema(item) for item in dataset.parameters},
        "required": [item.name for item in dataset.parameters if item.required],
        "additionalProperties": False,
    }


def filters_schema(dataset: Dataset) -> _JsonObject:
    """Return the JSON Schema of the view-time filters: an object that allows no other properties, none required."""
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {item.name: _filter_schema(item) for item in dataset.filters},
        "additionalProperties": False,
    }


def _view(view: View, schema: pa.Schema) -> pb.View:
    columns = [
        pb.Column(name=column.name, type=str(field.type), title=column.title, description=column.description)
        for column, field in zip(view.columns, schema, strict=True)
    ]
    return pb.View(
        name=view.name,
        title=view.title,
        description=view.description,
        columns=columns,
        filters=view.filters,
        paged=view.paged,
        sort_keys=[pb.SortKey(name=key.name, descending=key.descending) for key in view.sort_keys],
        chart=view.chart,
    )


def _parameter_schema(parameter: Parameter) -> _JsonObject:
    text: _JsonObject = {"type": "string", "minLength": 1, "maxLength": parameter.max_length}
    forms: dict[str, _JsonObject] = {
        "date": {"type": "string", "format": "date"},
        "text": text,
        "choice": {"type": "string", "enum": [*parameter.choices]},
        "integer": {"type": "integer"},
        "number": {"type": "number"},
        "boolean": {"type": "boolean"},
        "text_list": {"type": "array", "items": text, "maxItems": parameter.max_items},
    }
    return {**_about(parameter.title, parameter.description), **forms[parameter.type]}


def _filter_schema(item: Filter) -> _JsonObject:
    about = _about(item.title, item.description)
    match item:
        case ChoiceFilter():
            default = {} if item.default is None else {"default": item.default}
            return {**about, "type": "string", "enum": [*item.predicates], **default}
        case SetFilter():
            values = {"type": "string", "enum": [*item.predicates]}
            return {**about, "type": "array", "items": values, "minItems": 1, "default": [*item.default]}
        case MatchFilter():
            return {**about, "oneOf": _match_forms(item)}
        case PatternFilter():
            return {**about, "type": "string", "pattern": _anchored(item.pattern), "examples": [item.example]}


def _match_forms(item: MatchFilter) -> list[_JsonObject]:
    """Return the three forms of a match: one value, a list to include, or both lists."""
    value: _JsonObject = {"type": ["string", "null"], "minLength": 1, "maxLength": item.max_length}
    values: _JsonObject = {"type": "array", "items": value, "maxItems": item.max_items}
    lists: _JsonObject = {
        "type": "object",
        "properties": {"include": values, "exclude": values},
        "additionalProperties": False,
    }
    # A bare null means that the filter is not given, so the bare form is a text.
    return [{**value, "type": "string"}, values, lists]


def _anchored(pattern: str) -> str:
    """Return the pattern as JSON Schema reads it: unanchored, and named groups in ECMAScript's spelling."""
    return "^(?:" + pattern.replace("(?P<", "(?<") + ")$"


def _about(title: str, description: str) -> _JsonObject:
    return {"title": title, "description": description}


def _struct(value: _JsonObject) -> struct_pb2.Struct:
    return json_format.ParseDict(value, struct_pb2.Struct())
