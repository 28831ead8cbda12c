"""What users are told of a dataset: the proto with JSON Schemas (2020-12) of its parameters and filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import pyarrow as pa
from google.protobuf import json_format, struct_pb2
from sluice.query.v1 import query_service_pb2 as pb

from sluice_query_engine.dataset import Dataset, Parameter
from sluice_query_engine.view import ChoiceFilter, Filter, MatchFilter, PatternFilter, SetFilter, View, ViewColumn
from sluice_query_engine.view_parameters import value_schema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_ROLES: Final = {
    "": pb.COLUMN_ROLE_UNSPECIFIED,
    "dimension": pb.COLUMN_ROLE_DIMENSION,
    "measure": pb.COLUMN_ROLE_MEASURE,
    "time": pb.COLUMN_ROLE_TIME,
    "id": pb.COLUMN_ROLE_ID,
}
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
        views=[_view(dataset, view, columns[view.name]) for view in dataset.views],
        initial_views=dataset.initial_views,
        day_rule=dataset.day_rule.describe(),
        max_range_days=dataset.limits.max_range_days,
        kind=pb.DATASET_KIND_QUERY if dataset.snapshot is None else pb.DATASET_KIND_SNAPSHOT,
        modes=_modes(dataset),
        modes_parameter="" if dataset.modes is None else dataset.modes.parameter,
        labels=dataset.labels,
        descriptions=dataset.descriptions,
        day_rules=dataset.day_rule.translations(),
    )


def parameters_schema(dataset: Dataset) -> _JsonObject:
    """Return the JSON Schema of the primary parameters: an object that allows no other properties."""
    kinds: dict[str, _JsonObject] = {
        stage.kind_parameter: {"x-kind-of": stage.values_parameter} for stage in dataset.stages if stage.kind_parameter
    }
    properties: dict[str, _JsonObject] = {
        item.name: {**_parameter_schema(item), **_value_labels(dataset, item.name), **kinds.get(item.name, {})}
        for item in dataset.parameters
    }
    return {**_object(properties), "required": [item.name for item in dataset.parameters if item.required]}


def filters_schema(dataset: Dataset) -> _JsonObject:
    """Return the JSON Schema of the view-time filters: an object that allows no other properties, none required."""
    return _object(
        {
            item.name: {
                **_filter_schema(item),
                **_labels(dataset.filter_labels.get(item.name, {})),
                **_value_labels(dataset, item.name),
            }
            for item in dataset.filters
        }
    )


def _object(properties: Mapping[str, _JsonObject]) -> _JsonObject:
    """Return the schema of an object of these and no other properties; a Struct keeps no order, `x-order` does."""
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {**properties},
        "x-order": [*properties],
        "additionalProperties": False,
    }


def _modes(dataset: Dataset) -> list[pb.Mode]:
    modes = dataset.modes
    if modes is None:
        return []
    return [
        pb.Mode(name=mode.name, required=mode.requires, refused=sorted(modes.refused(mode))) for mode in modes.modes
    ]


def _column(column: ViewColumn, kind: pa.DataType) -> pb.Column:
    return pb.Column(
        name=column.name,
        type=str(kind),
        title=column.title,
        description=column.description,
        role=_ROLES[column.role],
        unit=column.unit,
        scale=column.scale,
        aggregate=column.aggregate,
        filter=column.filter,
        labels=column.labels,
    )


def _view(dataset: Dataset, view: View, schema: pa.Schema) -> pb.View:
    columns = [_column(column, field.type) for column, field in zip(view.columns, schema, strict=True)]
    own = [item for item in dataset.view_parameters if item.name in view.parameters]
    return pb.View(
        name=view.name,
        title=view.title,
        description=view.description,
        columns=columns,
        filters=view.filters,
        paged=view.paged,
        sort_keys=[pb.SortKey(name=key.name, descending=key.descending) for key in view.sort_keys],
        chart=view.chart,
        parameters_schema=_struct(
            _object(
                {
                    item.name: {**value_schema(item), **_labels(item.labels), **_value_labels(dataset, item.name)}
                    for item in own
                }
            )
        ),
        selects=view.selects,
        labels=view.labels,
        measure=view.measure,
        note=view.note,
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
        "text_list": {
            "type": "array",
            "items": text,
            "maxItems": parameter.max_items,
            **({"minItems": parameter.min_items} if parameter.min_items else {}),
        },
    }
    default: _JsonObject = {} if parameter.default is None else {"default": parameter.default}
    role: _JsonObject = {} if parameter.role is None else {"x-role": parameter.role}
    about = _about(parameter.title, parameter.description)
    return {**about, **forms[parameter.type], **default, **role, **_labels(parameter.labels)}


def _filter_schema(item: Filter) -> _JsonObject:
    about = _about(item.title, item.description)
    match item:
        case ChoiceFilter():
            default = {} if item.default is None else {"default": item.default}
            return {**about, "type": "string", "enum": [*item.predicates], **default, **_every(item)}
        case SetFilter():
            values = {"type": "string", "enum": [*item.predicates]}
            return {**about, "type": "array", "items": values, "minItems": 1, "default": [*item.default]}
        case MatchFilter():
            return {**about, "oneOf": _match_forms(item)}
        case PatternFilter():
            return {**about, "type": "string", "pattern": _anchored(item.pattern), "examples": [item.example]}


def _every(item: ChoiceFilter) -> _JsonObject:
    """Return the value that keeps every row, where there is one."""
    every = next((value for value, predicate in item.predicates.items() if not predicate), None)
    return {} if every is None else {"x-every": every}


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


def _labels(labels: Mapping[str, str]) -> _JsonObject:
    """Return titles by language as a schema carries them."""
    return {"x-labels": dict(labels)} if labels else {}


def _value_labels(dataset: Dataset, name: str) -> _JsonObject:
    """Return what is shown for the values of a choice, as a schema carries it."""
    labels = dataset.value_labels.get(name, {})
    return {"x-value-labels": {value: dict(texts) for value, texts in labels.items()}} if labels else {}


def _about(title: str, description: str) -> _JsonObject:
    return {"title": title, "description": description}


def _struct(value: _JsonObject) -> struct_pb2.Struct:
    return json_format.ParseDict(value, struct_pb2.Struct())
