"""Every error code, provoked in a running suite: the problem over HTTP, the status over gRPC, the log, and no leak."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import duckdb
import httpx
import pytest
import structlog
from sluice.query.v1 import query_service_pb2 as pb
from sluice_rpc.codes import CODES
from sluice_rpc.errors import ServiceError

from tests.chaos.small_disk import RefusedDisk
from tests.error_scenes import BACK_S, HOLDS, MAX_ID_COUNT, SQL, Scene, lines_of, scene
from tests.polling import poll_until

UNKNOWN_ID: Final = "f" * 16
NOBODY_RAISES: Final = {"UNAUTHENTICATED", "FORBIDDEN", "JOB_NOT_FOUND"}
"""Part of the contract and answered by nothing yet; docs/errors.md says the same."""
ELSEWHERE: Final = {"CHUNK_TOO_LARGE": "tests/unit/query_engine/test_chunk_reader.py"}
"""What takes more rows than this plant has, with the module whose tests provoke it at the engine."""
ROOT: Final = Path(__file__).parents[2]

Outcome = tuple[httpx.Response, ServiceError]
"""What HTTP answered, and what gRPC raised."""
PROVOKED: dict[str, Callable[[Scene, Path], Outcome]] = {}


@pytest.fixture(scope="module")
def staged(twin_path: Path, redis_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("errors"), twin_path, redis_program) as made:
        made.settle()
        yield made


def provokes(code: str) -> Callable[[Callable[[Scene, Path], Outcome]], Callable[[Scene, Path], Outcome]]:
    """Enter a function into the table of what provokes what."""

    def enter(function: Callable[[Scene, Path], Outcome]) -> Callable[[Scene, Path], Outcome]:
        PROVOKED[code] = function
        return function

    return enter


def raised(call: Callable[..., Any], *arguments: Any) -> ServiceError:
    """Return what a gRPC call raises."""
    with pytest.raises(ServiceError) as caught:
        call(*arguments)
    return caught.value


def of_query(scene: Scene, answer: httpx.Response) -> Outcome:
    """Return how a failed query looks, and what reading a view of it raises over gRPC."""
    return answer, raised(scene.read_view, answer.json()["metadata"]["query_id"])


@provokes("INVALID_PARAMETER")
def invalid(scene: Scene, plant: Path) -> Outcome:
    wrong = {"start_date": "2025-03-31", "end_date": "2025-03-01"}
    return scene.ask(wrong), raised(scene.start, wrong)


@provokes("DATASET_NOT_FOUND")
def no_dataset(scene: Scene, plant: Path) -> Outcome:
    answer = scene.http.post("/api/moon-history/query", json={})
    return answer, raised(scene.queries.GetDataset, pb.GetDatasetRequest(dataset="moon-history"))


@provokes("VIEW_NOT_FOUND")
def no_view(scene: Scene, plant: Path) -> Outcome:
    query_id = scene.finished()
    return scene.view(query_id, "moon"), raised(scene.read_view, query_id, "moon")


@provokes("CACHE_EXPIRED")
def expired(scene: Scene, plant: Path) -> Outcome:
    return scene.view(UNKNOWN_ID), raised(scene.queries.GetQuery, pb.GetQueryRequest(query_id=UNKNOWN_ID))


@provokes("QUERY_NOT_READY")
def not_ready(scene: Scene, plant: Path) -> Outcome:
    with scene.stalled() as query_id:
        return scene.view(query_id), raised(scene.read_view, query_id)


@provokes("QUERY_FINISHED")
def finished(scene: Scene, plant: Path) -> Outcome:
    query_id = scene.finished()
    answer = scene.http.delete(f"/api/queries/{query_id}")
    return answer, raised(scene.queries.CancelQuery, pb.CancelQueryRequest(query_id=query_id))


@provokes("CANCELLED")
def cancelled(scene: Scene, plant: Path) -> Outcome:
    with scene.stalled() as query_id:
        scene.http.delete(f"/api/queries/{query_id}", params={"force": "true"})
        poll_until(lambda: scene.view(query_id).json()["code"] != "QUERY_NOT_READY", BACK_S, "the end of the query")
        return scene.view(query_id), raised(scene.read_view, query_id)


@provokes("RESULT_TOO_LARGE")
def too_large(scene: Scene, plant: Path) -> Outcome:
    with duckdb.connect(str(plant), read_only=True) as rows:
        split = "select CONTAINERID from DWH.DW_MES_CONTAINER where SPLITFROMID is not null order by 1 limit ?"
        ids = [str(row[0]) for row in rows.execute(split, [MAX_ID_COUNT]).fetchall()]
    return scene.ancestors(ids), raised(scene.read_ancestors, ids)


@provokes("TOO_MANY_IDS")
def too_many(scene: Scene, plant: Path) -> Outcome:
    ids = [f"{number:016x}" for number in range(MAX_ID_COUNT + 1)]
    return scene.ancestors(ids), raised(scene.read_ancestors, ids)


@provokes("RATE_LIMITED")
def limited(scene: Scene, plant: Path) -> Outcome:
    with scene.stalled():
        return scene.ask(), raised(scene.start, scene.dates())


@provokes("POOL_EXHAUSTED")
def no_connection(scene: Scene, plant: Path) -> Outcome:
    scene.forget_references()
    with scene.faults(phase="execute", do="stall", statement="as plant_time", seconds=8) as fired:
        # The plant's clock takes the one connection, and the names that a query needs want it too.
        listing = threading.Thread(target=asking_the_clock, args=(scene, fired))
        listing.start()
        poll_until(fired, BACK_S, "the clock to stall")
        outcome = of_query(scene, scene.ask())
        listing.join(BACK_S)
    return outcome


def asking_the_clock(scene: Scene, fired: Callable[[], bool]) -> None:
    """Ask for the plant's time until the engine asks the warehouse for it; a reading is used for a second."""
    poll_until(lambda: scene.queries.ListDatasets(pb.ListDatasetsRequest()) and fired(), BACK_S)


@provokes("PERMITS_EXHAUSTED")
def no_permit(scene: Scene, plant: Path) -> Outcome:
    with scene.lineage_faults(delay_s=4):
        holding = threading.Thread(target=scene.read_ancestors)
        holding.start()
        poll_until(lambda: held(scene), BACK_S, "somebody to hold the permit")
        outcome = scene.ancestors(), raised(scene.read_ancestors)
        holding.join(BACK_S)
    return outcome


def held(scene: Scene) -> list[Any]:
    return list(scene.http.get("/api/ops/permits").json()["permits"]["lineage"]["held"])


@provokes("WAREHOUSE_UNAVAILABLE")
def unreachable(scene: Scene, plant: Path) -> Outcome:
    with scene.silent_listener():
        answer = scene.ask()
    with scene.lineage_faults(code="WAREHOUSE_UNAVAILABLE"):
        return answer, raised(scene.read_ancestors)


@provokes("CIRCUIT_OPEN")
def opened(scene: Scene, plant: Path) -> Outcome:
    with scene.silent_listener():
        answer = poll_until(lambda: of_code(scene.ask(), "CIRCUIT_OPEN"), BACK_S, "the breaker to open")
        assert answer is not None
        shown = scene.http.get("/health").json()
        assert "circuit_open" in [reason["code"] for reason in shown["reasons"]]
        return of_query(scene, answer)


def of_code(answer: httpx.Response, code: str) -> httpx.Response | None:
    return answer if answer.json().get("code") == code else None


@provokes("MEMORY_PRESSURE")
def no_room(scene: Scene, plant: Path) -> Outcome:
    disk, pid = RefusedDisk(scene.suite.data_dir), scene.suite.pids()["cache"]
    disk.fill(pid)
    try:
        return of_query(scene, scene.ask())
    finally:
        disk.relieve(pid)


@provokes("SERVICE_UNAVAILABLE")
def away(scene: Scene, plant: Path) -> Outcome:
    pid = scene.suite.pids()["lineage"]
    os.kill(pid, signal.SIGKILL)
    try:
        return scene.ancestors(), raised(scene.read_ancestors)
    finally:
        scene.await_new("lineage", pid)


@provokes("INTERRUPTED")
def interrupted(scene: Scene, plant: Path) -> Outcome:
    pid = scene.suite.pids()["query-engine"]
    with scene.stalled() as query_id:
        os.kill(pid, signal.SIGKILL)
        scene.await_new("query-engine", pid)
        poll_until(lambda: of_code(scene.view(query_id), "INTERRUPTED"), BACK_S, "nobody to run the query")
        return scene.view(query_id), raised(scene.read_view, query_id)


@provokes("QUERY_TIMEOUT")
def too_slow(scene: Scene, plant: Path) -> Outcome:
    with scene.faults(phase="execute", do="stall", statement=HOLDS, seconds=10):
        return of_query(scene, scene.ask())


@provokes("CONTRACT_BROKEN")
def another_type(scene: Scene, plant: Path) -> Outcome:
    with scene.faults(phase="execute", do="retype_column", statement=HOLDS, column="QTY", to="VARCHAR2"):
        return of_query(scene, scene.ask())


@provokes("WAREHOUSE_ERROR")
def refused(scene: Scene, plant: Path) -> Outcome:
    with scene.faults(phase="execute", do="error", code=942, statement=HOLDS):
        return of_query(scene, scene.ask())


@provokes("INTERNAL")
def broken(scene: Scene, plant: Path) -> Outcome:
    with scene.lineage_faults(delay_s="a word where a number belongs"):
        return scene.ancestors(), raised(scene.read_ancestors)


@pytest.mark.parametrize("code", sorted(PROVOKED))
def test_a_code_is_the_same_fact_in_every_place(staged: Scene, twin_path: Path, code: str) -> None:
    request_id = f"provoked-{code.lower()}"
    staged.http.headers["X-Request-Id"] = request_id
    sizes = staged.log_sizes()
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        answer, error = PROVOKED[code](staged, twin_path)
    logged = staged.logged(sizes)
    staged.http.headers.pop("X-Request-Id")

    assert_problem(answer, code)
    assert_status(error, code)
    reasons = {line.get("reason") for line in lines_of(logged) if line["event"] in ("http", "rpc")}
    assert code in {line.get("reason") for line in lines_of(logged) if line["event"] == "http"}, sorted(
        map(str, reasons)
    )
    # A fault of ours is the one thing whose traceback is written down.
    seen = (
        answer.text + str(answer.headers) + error.message + str(error.metadata) + ("" if code == "INTERNAL" else logged)
    )
    assert [secret for secret in staged.secrets() if secret in seen] == []
    assert SQL.search(seen) is None
    staged.settle()


def assert_problem(answer: httpx.Response, code: str) -> None:
    """The problem over HTTP is the table's, with its fields and its Retry-After."""
    known, body = CODES[code], answer.json()
    assert body["code"] == code, body
    assert (answer.status_code, body["status"], body["title"]) == (known.http_status, known.http_status, known.title)
    assert answer.headers["content-type"] == "application/problem+json"
    waits = known.http_status in (429, 503)
    assert ("Retry-After" in answer.headers, body["retry_after_s"] is not None) == (waits, waits)
    if code == "INVALID_PARAMETER":
        assert [item["field"] for item in body["errors"]] == [body["metadata"]["field"]]


def assert_status(error: ServiceError, code: str) -> None:
    """The status over gRPC is the table's, with its details."""
    assert (error.reason, error.status) == (code, CODES[code].status), error
    assert (error.retry_after_s is not None) == (CODES[code].retry_after_s is not None)
    if code == "INVALID_PARAMETER":
        assert [item.field for item in error.violations] == [error.metadata["field"]]


def test_the_codes_nobody_provokes_are_exactly_those_that_nothing_raises() -> None:
    assert set(CODES) - set(PROVOKED) - set(ELSEWHERE) == NOBODY_RAISES


def test_a_code_that_is_provoked_elsewhere_is_named_there() -> None:
    texts = {code: (ROOT / module).read_text(encoding="utf-8") for code, module in ELSEWHERE.items()}
    assert "ChunkTooLarge" in texts["CHUNK_TOO_LARGE"]


def test_the_page_names_the_codes_that_nothing_raises() -> None:
    page = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    sentence = next(part for part in page.split("\n\n") if "answered by nothing" in part)
    assert {code for code in CODES if f"`{code}`" in sentence} == NOBODY_RAISES
