"""Lists that a statement binds beside its range: each stands in IN lists with room for its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sluice_warehouse import Bind, Statement
from sluice_warehouse.statements import MAX_ID_COUNT, expand_ids, id_binds

from sluice_query_engine.parameters import ALL


def room_for(count: int) -> int:
    """Return places for so many values, in powers of two, so that the warehouse parses few texts."""
    return int(min(1 << (count - 1).bit_length(), MAX_ID_COUNT))


def filled(name: str, values: Sequence[str]) -> dict[str, Bind]:
    """Return the binds of a list in the room there is; what is left takes the last value, which then counts once."""
    return {**id_binds(name, [*values, *[values[-1]] * (room_for(len(values)) - len(values))])}


def bound_lists(statement: Statement, parameters: Mapping[str, object]) -> dict[str, list[str]]:
    """Return the lists that the statement binds; one that need not be given, and is not, is empty."""
    absent: dict[str, list[str]] = {name.removeprefix(ALL): [] for name in statement.bind_names if name.startswith(ALL)}
    return absent | {
        name: [str(item) for item in value]
        for name, value in parameters.items()
        if isinstance(value, list) and name in statement.bind_names
    }


def widened(statement: Statement, lists: Mapping[str, Sequence[str]]) -> Statement:
    """Return the statement with room for each list; an empty one keeps one place, which is bound NULL."""
    for name, values in lists.items():
        statement = expand_ids(statement, name, room_for(max(len(values), 1)))
    return statement


def list_binds(lists: Mapping[str, Sequence[str]]) -> dict[str, Bind]:
    """Return the binds of the lists of a widened statement, and whether each is to count.

    NULL equals nothing, so an empty list finds no row by itself.
    """
    binds: dict[str, Bind] = {}
    for name, values in lists.items():
        binds |= filled(name, values) if values else {f"{name}_1": None}
        binds[f"{ALL}{name}"] = 0 if values else 1
    return binds
