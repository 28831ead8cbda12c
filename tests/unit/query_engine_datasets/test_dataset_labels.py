"""Words beside the English ones: every title and every choice of a dataset is shown in Traditional Chinese too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf import json_format
from sluice_query_engine.catalog import Catalog
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.definitions import filters_schema, parameters_schema, to_proto
from sluice_query_engine.value_labels import choices_of

from tests.dataset_frames import load

CHINESE = "zh-TW"
DATASETS = {dataset.name: dataset for dataset in load()}


def titled(dataset: Dataset) -> Iterator[tuple[str, dict[str, str]]]:
    """Give what has a title that the page shows, and that title in other languages."""
    yield "dataset", dict(dataset.labels)
    for parameter in dataset.parameters:
        yield parameter.name, dict(parameter.labels)
    for of_view in dataset.view_parameters:
        yield of_view.name, dict(of_view.labels)
    for item in dataset.filters:
        yield item.name, dict(dataset.filter_labels.get(item.name, {}))
    for view in dataset.views:
        yield view.name, dict(view.labels)
        if view.note:
            yield f"{view.name}.note", dict(view.note)
        for column in view.columns:
            yield f"{view.name}.{column.name}", dict(column.labels)


@pytest.mark.parametrize("name", DATASETS)
def test_every_title_has_its_chinese(name: str) -> None:
    assert [where for where, labels in titled(DATASETS[name]) if not labels.get(CHINESE)] == []


@pytest.mark.parametrize("name", DATASETS)
def test_what_a_row_is_and_when_a_day_runs_is_said_in_chinese_too(name: str, catalog: Catalog) -> None:
    told = to_proto(DATASETS[name], catalog.columns(name))
    assert all(any(ord(letter) > 0x3000 for letter in texts[CHINESE]) for texts in (told.descriptions, told.day_rules))


def test_what_was_typed_belongs_to_the_parameter_that_it_is_typed_in(catalog: Catalog) -> None:
    properties = parameters_schema(catalog.get("reject-history"))["properties"]
    assert isinstance(properties, dict)
    belongs = {name: schema["x-kind-of"] for name, schema in properties.items() if "x-kind-of" in schema}
    assert belongs == {"container_input_type": "container_values"}


@pytest.mark.parametrize("name", DATASETS)
def test_every_value_of_a_choice_has_words_of_people(name: str) -> None:
    dataset = DATASETS[name]
    choices = choices_of(dataset.parameters, dataset.filters, dataset.view_parameters)
    told = {choice: tuple(labels) for choice, labels in dataset.value_labels.items()}
    assert told == choices
    for labels in dataset.value_labels.values():
        assert all({"en", CHINESE} <= set(texts) for texts in labels.values())


def test_the_words_travel_with_the_schemas(catalog: Catalog) -> None:
    rejects = catalog.get("reject-history")
    words = {"true": {"en": "Left out", CHINESE: "不納入"}, "false": {"en": "Counted", CHINESE: "納入"}}
    properties = filters_schema(rejects)["properties"]
    assert isinstance(properties, dict)
    assert properties["exclude_pb_diode"]["x-value-labels"] == words
    modes = parameters_schema(rejects)["properties"]
    assert isinstance(modes, dict)
    assert modes["mode"]["x-value-labels"]["container"] == {"en": "Lots", CHINESE: "批號清單"}


def test_the_words_of_view_parameters_travel_with_their_views(catalog: Catalog) -> None:
    told = json_format.MessageToDict(to_proto(catalog.get("reject-history"), catalog.columns("reject-history")))
    [trend] = [view for view in told["views"] if view["name"] == "trend"]
    assert trend["parametersSchema"]["properties"]["granularity"]["x-value-labels"]["week"][CHINESE] == "週"


def test_the_value_of_a_choice_that_keeps_every_row_is_named(catalog: Catalog) -> None:
    properties = filters_schema(catalog.get("hold-history"))["properties"]
    assert isinstance(properties, dict)
    assert {name: schema.get("x-every") for name, schema in properties.items()} == {
        **dict.fromkeys(properties),
        "hold_type": "all",
    }


def test_what_a_view_shows_first_and_leaves_out_travels_with_it(catalog: Catalog) -> None:
    told = json_format.MessageToDict(to_proto(catalog.get("hold-history"), catalog.columns("hold-history")))
    shown = {view["name"]: (view.get("measure"), sorted(view.get("note", {}))) for view in told["views"]}
    assert shown["reason_pareto"] == ("qty", [])
    assert shown["duration"] == ("qty", ["en", CHINESE])
