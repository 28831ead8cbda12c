"""Pieces of the demo: its port, its folder, the note that other commands read, the programs' settings."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sluice_client.demo.data_dir import DataDir, DataDirInUse, running_demo_url
from sluice_client.demo.demo import PortInUse, choose_port
from sluice_client.demo.plant import plant_folder
from sluice_client.demo.programs import SuiteFiles, SuitePorts, suite_programs
from sluice_client.ports import first_free, is_free, take_free

PORTS = SuitePorts(gateway=8080, query_engine=7101, lineage=7102, cache=7103, redis=7379)


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@pytest.fixture
def files(tmp_path: Path) -> SuiteFiles:
    return SuiteFiles(tmp_path / "plant.duckdb", tmp_path / "cache", tmp_path / "redis")


def test_a_port_with_a_listener_is_not_free(taken_port: int) -> None:
    assert not is_free(taken_port)


def test_the_first_free_port_is_past_the_taken_one(taken_port: int) -> None:
    assert first_free(taken_port, 20) != taken_port


def test_no_port_is_free_where_all_are_taken(taken_port: int) -> None:
    assert first_free(taken_port, 1) is None


def test_free_ports_are_different() -> None:
    assert len(set(take_free(5))) == 5


def test_a_wanted_port_in_use_is_an_error_that_names_it(taken_port: int) -> None:
    with pytest.raises(PortInUse, match=f"port {taken_port} is in use"):
        choose_port(taken_port)


def test_port_zero_is_any_free_port() -> None:
    assert is_free(choose_port(0))


def test_a_folder_can_be_held_once(tmp_path: Path) -> None:
    with DataDir(tmp_path).locked(), pytest.raises(DataDirInUse, match="--data-dir"), DataDir(tmp_path).locked():
        pass


def test_a_folder_is_free_after_its_demo_has_gone(tmp_path: Path) -> None:
    with DataDir(tmp_path).locked():
        pass
    with DataDir(tmp_path).locked():
        assert running_demo_url(tmp_path) is None


def test_the_url_of_a_running_demo_is_found(tmp_path: Path) -> None:
    folder = DataDir(tmp_path)
    with folder.locked(), folder.announced("http://127.0.0.1:18080"):
        assert running_demo_url(tmp_path) == "http://127.0.0.1:18080"


def test_the_note_of_a_killed_demo_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "demo.lock").touch()
    (tmp_path / "demo.json").write_text('{"url": "http://127.0.0.1:18080", "pid": 1}')
    assert running_demo_url(tmp_path) is None


def test_a_folder_without_a_demo_has_no_url(tmp_path: Path) -> None:
    assert running_demo_url(tmp_path / "missing") is None


def test_each_scale_and_seed_has_a_folder_of_its_own(tmp_path: Path) -> None:
    paths = {plant_folder(tmp_path, scale, seed).path for scale in (0.02, 0.2) for seed in (1, 2)}
    assert len(paths) == 4


def test_a_generated_plant_is_found_again(tmp_path: Path) -> None:
    folder = plant_folder(tmp_path, 0.02, 1)
    folder.generate(0.02, 1, lambda _table, _row_count: None)
    assert plant_folder(tmp_path, 0.02, 1).exists


def test_the_gateway_is_started_last(files: SuiteFiles) -> None:
    assert suite_programs(PORTS, files, Path("/bin/redis"))[-1].name == "gateway"


def test_without_a_redis_program_nobody_is_told_of_redis(files: SuiteFiles) -> None:
    programs = suite_programs(PORTS, files, None)
    urls = {value for program in programs for name, value in program.environment.items() if name.endswith("REDIS_URL")}
    assert ([program.name for program in programs], urls) == (["cache", "lineage", "query-engine", "gateway"], {""})


def test_the_warehouse_is_named_by_its_absolute_path(files: SuiteFiles) -> None:
    engine = next(program for program in suite_programs(PORTS, files, None) if program.name == "query-engine")
    assert engine.environment["SLUICE_QUERY_ENGINE_WAREHOUSE_URL"] == f"duckdb://{files.plant}"
