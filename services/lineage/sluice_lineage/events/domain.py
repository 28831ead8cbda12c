"""Event domains as folders: declared columns, one statement, and how long an answer is kept."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sluice_warehouse.schema import UnknownType, parse_schema
from sluice_warehouse.statements import Statement, StatementError, load

CONTAINER_COLUMN: Final = "CONTAINERID"
"""Every domain has it; rows are grouped by it."""

Derivation: TypeAlias = Literal["workcenter_group", "hours_between", "day"]
"""What is computed here, since the two databases do not share a way to say it."""


class DomainError(Exception):
    """A domain folder is wrong; the message names the file and the fault."""


@dataclass(frozen=True)
class EventColumn:
    """One declared column."""

    name: str
    type: str
    about: str
    derived: Derivation | None
    """How it is computed from other columns; None where the statement yields it."""
    sources: tuple[str, ...]
    """The columns it is computed from."""


@dataclass(frozen=True)
class EventDomain:
    """One kind of event."""

    name: str
    title: str
    about: str
    version: int
    ttl_s: int
    key: tuple[str, ...]
    columns: tuple[EventColumn, ...]
    statement: Statement
    read_schema: pa.Schema
    """The columns that the statement yields."""
    schema: pa.Schema
    """The columns of an answer."""
    fingerprint: str
    """Changes with the version, the columns and the statement, so that no kept answer outlives what it was made by."""

    @property
    def counts_hours(self) -> bool:
        """Whether a column counts to the plant's present time."""
        return any(column.derived == "hours_between" for column in self.columns)


class _ColumnFacts(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    type: str
    about: str = Field(min_length=1)
    derived: Derivation | None = None
    sources: tuple[str, ...] = Field(default=(), alias="from")


class _Limits(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ttl_s: int = Field(ge=1)


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    title: str = Field(min_length=1)
    about: str = Field(min_length=1)
    version: int = Field(ge=1)
    key: tuple[str, ...] = ()
    limits: _Limits
    columns: dict[str, _ColumnFacts]


def load_domains(folder: Path) -> dict[str, EventDomain]:
    """Return every domain by name, in name order: a folder with `domain.toml` and `events.sql` each.

    Raises:
        DomainError: there is none, or one is wrong.
    """
    paths = sorted(path.parent for path in folder.glob("*/domain.toml"))
    if not paths:
        raise DomainError(f"{folder}: holds no event domain")
    return {path.name: _load(path) for path in paths}


def _load(folder: Path) -> EventDomain:
    path = folder / "domain.toml"
    try:
        facts = _Facts.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        columns = tuple(
            EventColumn(name, found.type, found.about, found.derived, found.sources)
            for name, found in facts.columns.items()
        )
        statement = load(folder / "events.sql", name=f"events.{folder.name}")
        read_schema = parse_schema({column.name: column.type for column in columns if column.derived is None})
        schema = parse_schema({column.name: column.type for column in columns})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise DomainError(f"{path}: {faults}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, UnknownType, StatementError) as error:
        raise DomainError(f"{path}: {error}") from error
    _check(path, facts, columns, statement)
    return EventDomain(
        name=folder.name,
        title=facts.title,
        about=facts.about,
        version=facts.version,
        ttl_s=facts.limits.ttl_s,
        key=facts.key,
        columns=columns,
        statement=statement,
        read_schema=read_schema,
        schema=schema,
        fingerprint=_fingerprint(facts.version, columns, statement),
    )


def _check(path: Path, facts: _Facts, columns: tuple[EventColumn, ...], statement: Statement) -> None:
    read: Mapping[str, EventColumn] = {column.name: column for column in columns if column.derived is None}
    if CONTAINER_COLUMN not in read:
        raise DomainError(f"{path}: columns: {CONTAINER_COLUMN} is not read")
    if statement.bind_names != ("ids",):
        raise DomainError(f"{path}: events.sql binds {', '.join(statement.bind_names)}, not ids alone")
    for name in facts.key:
        if name not in facts.columns:
            raise DomainError(f"{path}: key: {name} is no column")
    for column in columns:
        wanted = 0 if column.derived is None else (2 if column.derived == "hours_between" else 1)
        if len(column.sources) != wanted or any(source not in read for source in column.sources):
            raise DomainError(f"{path}: columns.{column.name}: from is not {wanted} columns that are read")


def _fingerprint(version: int, columns: tuple[EventColumn, ...], statement: Statement) -> str:
    parts = [str(version), statement.text]
    parts += [f"{column.name} {column.type} {column.derived} {','.join(column.sources)}" for column in columns]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
