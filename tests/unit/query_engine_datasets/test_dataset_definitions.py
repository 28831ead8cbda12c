"""What users are told of hold history: schemas, columns with types, sort keys."""

from __future__ import annotations

from google.protobuf import json_format
from sluice.query.v1 import query_service_pb2 as pb
from sluice_query_engine.catalog import Catalog
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.definitions import filters_schema, parameters_schema, to_proto


def definition(catalog: Catalog) -> pb.Dataset:
    """Return the definition of hold history."""
    return to_proto(catalog.get("hold-history"), catalog.columns("hold-history"))


def test_the_order_of_the_fields_is_the_one_they_are_declared_in(dataset: Dataset) -> None:
    assert parameters_schema(dataset)["x-order"] == ["start_date", "end_date"]
    assert filters_schema(dataset)["x-order"] == [item.name for item in dataset.filters]


def test_the_parameters_are_two_required_dates(dataset: Dataset) -> None:
    schema = parameters_schema(dataset)
    assert schema["required"] == ["start_date", "end_date"]
    assert schema["additionalProperties"] is False
    assert schema["properties"] == {
        "start_date": {
            "title": "From",
            "description": "First production day, included.",
            "type": "string",
            "format": "date",
            "x-role": "start_date",
            "x-labels": {"zh-TW": "起"},
        },
        "end_date": {
            "title": "To",
            "description": "Last production day, included.",
            "type": "string",
            "format": "date",
            "x-role": "end_date",
            "x-labels": {"zh-TW": "迄"},
        },
    }


def test_the_filters_name_their_values_and_defaults(dataset: Dataset) -> None:
    properties = filters_schema(dataset)["properties"]
    assert isinstance(properties, dict)
    assert list(properties) == ["hold_type", "record_type", "reason", "duration_range", "day_filter", "days"]
    assert properties["hold_type"]["enum"] == ["quality", "non-quality", "all"]
    assert properties["hold_type"]["default"] == "quality"
    assert properties["record_type"]["default"] == ["new"]
    assert "default" not in properties["duration_range"]
    assert properties["day_filter"]["pattern"] == r"^(?:(?<day>\d{4}-\d{2}-\d{2}):(?<event>new|release))$"


def test_every_column_has_a_type_a_title_and_a_meaning(catalog: Catalog) -> None:
    columns = [column for view in definition(catalog).views for column in view.columns]
    assert len(columns) == 7 + 5 + 4 + 4 + 16
    assert all(column.type and column.title and column.description for column in columns)


def test_types_are_arrow_s(catalog: Catalog) -> None:
    types = {column.name: column.type for view in definition(catalog).views for column in view.columns}
    assert (types["day"], types["qty"], types["hold_time"], types["pct"], types["lot_id"]) == (
        "date32[day]",
        "int64",
        "timestamp[s]",
        "double",
        "string",
    )


def test_the_first_sort_key_is_the_latest_hold(catalog: Catalog) -> None:
    listed = definition(catalog).views[-1]
    assert (listed.name, listed.paged) == ("list", True)
    assert (listed.sort_keys[0].name, listed.sort_keys[0].descending) == ("hold_time", True)


def test_the_day_rule_is_told_in_words(catalog: Catalog) -> None:
    told = definition(catalog)
    assert "07:30 of the day before" in told.day_rule
    assert told.max_range_days == 730


def test_the_definition_travels_as_json(catalog: Catalog) -> None:
    told = definition(catalog)
    assert json_format.Parse(json_format.MessageToJson(told), pb.Dataset()) == told
