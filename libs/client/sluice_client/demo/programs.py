"""The suite as programs: the four processes and Redis with the settings and ports that make them find each other."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sluice_client.demo.probe import grpc_probe, http_probe, redis_probe
from sluice_client.demo.watch import Program
from sluice_client.ports import LOOPBACK, is_free, take_free
from sluice_client.redis_server import server_command

INTERNAL_PORTS: Mapping[str, int] = {"query-engine": 7101, "lineage": 7102, "cache": 7103, "redis": 7379}
"""Where the processes behind the gateway listen if these ports are free; documentation examples use them."""


@dataclass(frozen=True)
class SuitePorts:
    """Loopback ports of the suite; they stay the same when a process is restarted."""

    gateway: int
    query_engine: int
    lineage: int
    cache: int
    redis: int

    @classmethod
    def usual(cls, gateway: int) -> SuitePorts:
        """Return the documented ports, each replaced by a free one where somebody else has it."""
        spare = take_free(len(INTERNAL_PORTS))
        chosen = {
            name: port if is_free(port) else other
            for (name, port), other in zip(INTERNAL_PORTS.items(), spare, strict=True)
        }
        return cls(gateway, chosen["query-engine"], chosen["lineage"], chosen["cache"], chosen["redis"])

    @classmethod
    def free(cls) -> SuitePorts:
        """Return five free ports, for suites that must not meet others on the same machine."""
        return cls(*take_free(5))


@dataclass(frozen=True)
class SuiteFiles:
    """Where a suite keeps its files."""

    plant: Path
    """The twin's DuckDB file."""
    cache_dir: Path
    """Hot and spooled frames. They hold rows of this plant, so another plant needs another folder."""
    redis_dir: Path
    """Working folder of the Redis server."""
    statement_log: Path | None = None
    """Where the warehouse notes each statement it ran, as JSON lines; None notes none."""
    fault_file: Path | None = None
    """Faults the warehouse shall show, read before each statement; for tests. None shows none."""
    compiled_dir: Path | None = None
    """Where the query engine notes what datasets compiled to; suites may share it. None compiles at every start."""


def suite_programs(
    ports: SuitePorts,
    files: SuiteFiles,
    redis_program: Path | None,
    extra: Mapping[str, Mapping[str, str]] | None = None,
) -> list[Program]:
    """Return the programs in starting order: Redis if there is one, what others ask, the gateway last.

    Args:
        ports: where each listens.
        files: where each keeps its files.
        redis_program: server program; None runs the suite without Redis.
        extra: more variables for single processes, by folder name.
    """
    redis_url = f"redis://{LOOPBACK}:{ports.redis}/0" if redis_program is not None else ""
    programs = []
    if redis_program is not None:
        files.redis_dir.mkdir(parents=True, exist_ok=True)
        command = server_command(redis_program, ports.redis, files.redis_dir)
        programs.append(Program("redis", command, redis_probe(ports.redis)))
    settings = _settings(ports, files, redis_url)
    for name, port in (("cache", ports.cache), ("lineage", ports.lineage), ("query-engine", ports.query_engine)):
        programs.append(Program(name, _python(name), grpc_probe(port), settings[name]))
    programs.append(Program("gateway", _python("gateway"), http_probe(ports.gateway), settings["gateway"]))
    return [_with(program, (extra or {}).get(program.name, {})) for program in programs]


def _settings(ports: SuitePorts, files: SuiteFiles, redis_url: str) -> dict[str, dict[str, str]]:
    query_engine, lineage, cache = (f"{LOOPBACK}:{port}" for port in (ports.query_engine, ports.lineage, ports.cache))
    warehouse = {"WAREHOUSE_URL": f"duckdb://{quote(files.plant.absolute().as_posix())}"}
    if files.statement_log is not None:
        warehouse["STATEMENT_LOG"] = str(files.statement_log)
    if files.fault_file is not None:
        warehouse["FAULT_FILE"] = str(files.fault_file)
    compiled = {} if files.compiled_dir is None else {"COMPILED_DIR": str(files.compiled_dir)}
    by_process = {
        "cache": {
            "LISTEN": cache,
            "REDIS_URL": redis_url,
            "DATA_DIR": str(files.cache_dir),
        },
        "lineage": {"LISTEN": lineage, "CACHE_TARGET": cache, "REDIS_URL": redis_url, **warehouse},
        "query-engine": {
            "LISTEN": query_engine,
            "CACHE_TARGET": cache,
            "LINEAGE_TARGET": lineage,
            "REDIS_URL": redis_url,
            **compiled,
            **warehouse,
        },
        "gateway": {
            "LISTEN": f"{LOOPBACK}:{ports.gateway}",
            "QUERY_ENGINE_TARGET": query_engine,
            "LINEAGE_TARGET": lineage,
            "CACHE_TARGET": cache,
            "SAVED_FILE": str(files.redis_dir.parent / "gateway" / "saved.sqlite"),
        },
    }
    return {
        name: {f"SLUICE_{name.replace('-', '_').upper()}_{key}": value for key, value in values.items()}
        for name, values in by_process.items()
    }


def _python(name: str) -> list[str]:
    # -P: the working directory is the user's, and a file of theirs must not shadow a module of ours.
    return [sys.executable, "-P", "-m", f"sluice_{name.replace('-', '_')}"]


def _with(program: Program, environment: Mapping[str, str]) -> Program:
    return Program(program.name, program.command, program.probe, {**program.environment, **environment})
