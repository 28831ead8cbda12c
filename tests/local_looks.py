"""Looks at results as the gateway answers them, with the stored table beside: what the page computes by itself is held
against these."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

Json = dict[str, Any]

PAGE_SIZE = 20


class Asked:
    """A question whose answer is there.

    Args:
        http: the gateway.
        dataset: its definition.
        parameters: the question.
    """

    def __init__(self, http: httpx.Client, dataset: Json, parameters: Mapping[str, object]) -> None:
        self._http = http
        self.dataset = dataset
        self.parameters = dict(parameters)
        body = {**self.parameters, "views": []}
        answer = http.post(f"/api/{dataset['route']}/query", json=body, headers={"Prefer": "wait=60"})
        assert answer.status_code == 200, answer.text
        self.query_id: str = answer.json()["query_id"]
        self.receipt: Json = answer.json()["receipt"]

    def options(self) -> dict[str, Sequence[str]]:
        """Return the values that each filter offers."""
        path = f"/api/{self.dataset['route']}/options"
        answer = self._http.post(path, json={"query_id": self.query_id}).raise_for_status()
        return {
            name: [item["value"] for item in offered["values"]] for name, offered in answer.json()["options"].items()
        }

    def look(self, filters: Mapping[str, object]) -> Json:
        """Return a body of `…/view` that asks for every view, and the tables that answer it."""
        views = [view["name"] for view in self.dataset["views"]]
        body = {"view": views, "page_size": PAGE_SIZE, **filters}
        answer = self._http.post(f"/api/{self.dataset['route']}/view", json={**body, "query_id": self.query_id})
        assert answer.status_code == 200, answer.text
        return {"body": body, "views": answer.json()["views"]}

    def case(self, looks: Sequence[Mapping[str, object]], *, frame: bool = True) -> Json:
        """Return the question, what the views compute, the looks with their answers and, unless left out, the table."""
        name, route = self.dataset["name"], self.dataset["route"]
        computation = self._http.get(f"/api/datasets/{name}/computation").raise_for_status().json()
        case = {
            "dataset": name,
            "query_id": self.query_id,
            "route": route,
            "parameters": self.parameters,
            "formats": formats(self.dataset),
            "as_of_time": self.receipt["as_of_time"],
            "computation": computation,
            "looks": [self.look(filters) for filters in looks],
        }
        if frame:
            stored = self._http.get(f"/api/{route}/frame", params={"query_id": self.query_id, "format": "arrow"})
            case["frame"] = base64.b64encode(stored.raise_for_status().content).decode("ascii")
        return case


def worker_path(http: httpx.Client) -> str:
    """Return the path of the page's worker: the document names a script, that one the datasets', and that one this."""
    path = "/"
    for prefix in ("index", "DatasetPage", "worker"):
        found = re.search(rf"{prefix}-[\w-]+\.js", http.get(path).raise_for_status().text)
        assert found is not None, f"no {prefix} in {path}"
        path = f"/assets/{found[0]}"
    return path


def formats(dataset: Json) -> dict[str, str]:
    """Return the format of each parameter, empty where it has none."""
    return {name: schema.get("format", "") for name, schema in dataset["parameters"]["properties"].items()}
