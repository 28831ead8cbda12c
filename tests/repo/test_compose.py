"""docker-compose.yml names what exists: every process, its port, its settings, and nothing else."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml
from sluice_warehouse.permit_plan import PermitPlan, parse_shares

from tests.repo.settings_page import SHARED, settings_class
from tests.repo.tree import PROCESSES, ROOT, text_of

COMPOSE: dict[str, Any] = yaml.safe_load(text_of(ROOT / "docker-compose.yml"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = text_of(ROOT / "Dockerfile")


def listens(process: str) -> str:
    """Return where a process listens inside its container."""
    return str(SERVICES[process]["environment"][f"SLUICE_{process.replace('-', '_').upper()}_LISTEN"])


def variables(process: str) -> set[str]:
    """Return the variables that a process reads; those that share the warehouse read those of permits and of it too."""
    shared = SHARED.values() if process in ("query-engine", "lineage") else ()
    classes = [settings_class(process), *shared]
    return {name for settings in classes for names in settings.variable_names().values() for name in names}


def mounted(service: dict[str, Any]) -> dict[str, str]:
    """Return the path at which a service mounts each volume."""
    return {entry.split(":")[0]: entry.split(":")[1] for entry in service.get("volumes", [])}


def test_services_are_the_process_folders_redis_and_the_twin() -> None:
    assert set(SERVICES) == {*PROCESSES, "redis", "twin"}


@pytest.mark.parametrize("process", PROCESSES)
def test_every_variable_is_a_setting_of_its_process(process: str) -> None:
    assert set(SERVICES[process]["environment"]) <= variables(process)


def test_the_processes_that_reach_the_warehouse_agree_on_its_permits() -> None:
    said = [
        {
            key: value
            for key, value in SERVICES[process]["environment"].items()
            if key.startswith(("SLUICE_PERMIT", "DB_"))
        }
        for process in ("query-engine", "lineage")
    ]
    defaults = {key: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for key, value in said[0].items()}
    plan = PermitPlan(int(defaults["DB_SLOW_MAX_CONCURRENT"]), parse_shares(defaults["SLUICE_PERMIT_SHARES"]))
    assert (said[0], set(plan.shares)) == (said[1], {"query-engine", "lineage"})


@pytest.mark.parametrize("process", PROCESSES)
def test_ports_are_the_defaults(process: str) -> None:
    default = str(settings_class(process).model_fields["listen"].default)
    assert listens(process).rpartition(":")[2] == default.rpartition(":")[2]


@pytest.mark.parametrize("process", PROCESSES)
def test_every_address_of_a_process_leads_to_a_service_and_its_port(process: str) -> None:
    ports = {name: listens(name).rpartition(":")[2] for name in PROCESSES}
    environment = SERVICES[process]["environment"]
    targets = {
        value.rpartition(":")[0]: value.rpartition(":")[2] for key, value in environment.items() if "TARGET" in key
    }
    assert targets.items() <= ports.items()


@pytest.mark.parametrize("process", PROCESSES)
def test_every_target_setting_is_given(process: str) -> None:
    # A default address means this very container, where nobody else listens.
    own = [names[0] for names in settings_class(process).variable_names().values()]
    needed = {name for name in own if name.endswith(("_TARGET", "_WAREHOUSE_URL", "_REDIS_URL"))}
    assert needed - set(SERVICES[process]["environment"]) == set()


@pytest.mark.parametrize("process", PROCESSES)
def test_every_process_is_probed_where_it_listens(process: str) -> None:
    probe = SERVICES[process]["healthcheck"]["test"]
    port = listens(process).rpartition(":")[2]
    assert probe[:4] == ["CMD", "python", "-m", "sluice_rpc.healthcheck"]
    assert re.search(rf"127\.0\.0\.1:{port}\b", probe[4])


def test_only_the_gateway_is_published() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"gateway"}


def test_every_volume_is_declared_and_used() -> None:
    used = {volume for service in SERVICES.values() for volume in mounted(service)}
    assert used == set(COMPOSE["volumes"])


@pytest.mark.parametrize("process", PROCESSES)
def test_every_folder_that_is_written_is_a_volume(process: str) -> None:
    environment = SERVICES[process]["environment"]
    folders = {value for key, value in environment.items() if key.endswith("_DIR")}
    assert folders <= set(mounted(SERVICES[process]).values())


def test_every_image_is_built_with_an_extra_that_exists() -> None:
    extras = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    built = {service["build"]["args"]["EXTRA"] for service in SERVICES.values() if "build" in service}
    assert built <= set(extras)


@pytest.mark.parametrize("process", PROCESSES)
def test_the_image_of_a_process_is_built_with_its_own_extra(process: str) -> None:
    assert SERVICES[process]["build"]["args"]["EXTRA"] == process


def test_every_mounted_folder_exists_in_the_image_for_its_user() -> None:
    (created,) = re.findall(r"install -d -o sluice -g sluice (.+)", DOCKERFILE)
    folders = {folder for service in SERVICES.values() for folder in mounted(service).values()}
    assert folders <= set(created.split())


def test_the_image_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["sluice"]
