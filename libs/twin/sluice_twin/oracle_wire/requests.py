"""Calls of a client, read from their bytes: what is asked for, and nothing done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sluice_twin.oracle_wire.codec import Value, decode_bind
from sluice_twin.oracle_wire.errors import MalformedRequest, OraError
from sluice_twin.oracle_wire.primitives import RequestReader
from sluice_twin.oracle_wire.protocol import ExecuteOption, Function, Message

_NATIONAL_FORM: Final = 2
_LIST_WORDS: Final = 13


@dataclass(frozen=True)
class BindType:
    """Type of one bind; its values follow in rows."""

    oracle_type: int
    national: bool


@dataclass(frozen=True)
class Execute:
    """Parse, bind, run and fetch, as far as the options ask for it."""

    options: ExecuteOption
    cursor_id: int
    """0 asks for a new cursor."""
    sql: str | None
    """None runs what the cursor has."""
    prefetch_row_count: int
    query: bool
    bind_types: tuple[BindType, ...]
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True)
class EndToEnd:
    """What the client says of itself; None leaves an attribute as it was."""

    client_identifier: str | None
    module: str | None
    action: str | None
    client_info: str | None


@dataclass(frozen=True)
class Logon:
    """One step of a logon."""

    function: int
    sequence: int
    user: str
    parameters: dict[bytes, bytes]


def read_logon(reader: RequestReader) -> Logon:
    """Return a step of a logon, from its function number on."""
    function, sequence, has_user = reader.byte(), reader.byte(), reader.byte()
    reader.skip_numbers(2)
    reader.byte()
    count = reader.number()
    reader.take(2)
    user = (reader.value() or b"").decode() if has_user else ""
    parameters = {}
    for _ in range(count):
        key, value = reader.announced(), reader.announced()
        reader.number()
        parameters[key] = value
    return Logon(function, sequence, user, parameters)


def read_execute(reader: RequestReader) -> Execute:
    """Return an execute call, from behind its sequence number on."""
    options = ExecuteOption(reader.number())
    cursor_id, has_sql = reader.number(), reader.byte()
    reader.number()
    reader.byte()
    reader.number()
    reader.take(2)
    reader.number()
    prefetch = reader.number()
    reader.number()
    reader.byte()
    bind_count = reader.number()
    reader.take(6)
    define_count = reader.number()
    _skip_registration(reader)
    sql = (reader.value() or b"").decode() if has_sql else None
    words = [reader.number() for _ in range(_LIST_WORDS)]
    iterations, query = words[1], bool(words[7])
    types: tuple[BindType, ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()
    if define_count:
        _read_types(reader, define_count)
    elif bind_count:
        types = _read_types(reader, bind_count)
        rows = read_rows(reader, types, 1 if query else iterations)
    return Execute(options, cursor_id, sql, prefetch, query, types, rows)


def _skip_registration(reader: RequestReader) -> None:
    """Pass over registrations, object lists, row counts of batches and signatures: none of them is used."""
    # `n` is a universal integer, a figure that many plain bytes.
    for step in "n3n1nn1n11n1n11n":
        if step == "n":
            reader.number()
        else:
            reader.take(int(step))


def _read_types(reader: RequestReader, count: int) -> tuple[BindType, ...]:
    types = []
    for _ in range(count):
        oracle_type = reader.take(4)[0]
        reader.skip_numbers(3)
        if reader.number():
            reader.value()
        reader.skip_numbers(2)
        form = reader.byte()
        reader.skip_numbers(2)
        types.append(BindType(oracle_type, form == _NATIONAL_FORM))
    return tuple(types)


def read_rows(reader: RequestReader, types: tuple[BindType, ...], count: int) -> tuple[tuple[Value, ...], ...]:
    """Return rows of bind values."""
    rows = []
    for _ in range(count):
        if reader.byte() != Message.ROW_DATA:
            raise MalformedRequest("a row of binds was expected")
        raw = [reader.value() for _ in types]
        # Decoded when the whole row is read, so that a value nobody understands leaves nothing unread.
        rows.append(
            tuple(decode_bind(kind.oracle_type, kind.national, data) for kind, data in zip(types, raw, strict=True))
        )
    return tuple(rows)


def read_end_to_end(reader: RequestReader) -> EndToEnd:
    """Return what the client says of itself: a flag and a length for each attribute, then the values."""
    reader.take(2)
    reader.number()
    lengths = [_flagged_length(reader) for _ in range(3)]
    _flagged_length(reader)
    _flagged_length(reader)
    lengths.append(_flagged_length(reader))
    _flagged_length(reader)
    _flagged_length(reader)
    lengths.append(_flagged_length(reader))
    texts = [_attribute(reader, given, length) for given, length in lengths]
    return EndToEnd(texts[0], texts[1], texts[2], texts[3])


def _flagged_length(reader: RequestReader) -> tuple[int, int]:
    return reader.byte(), reader.number()


def _attribute(reader: RequestReader, given: int, length: int) -> str | None:
    if not given:
        return None
    if length:
        return (reader.value() or b"").decode()
    # An attribute taken back sends nothing, an empty one sends its empty text; no message begins with a zero.
    reader.skip_byte(0)
    return ""


def read_closed_cursors(reader: RequestReader) -> list[int]:
    """Return the cursors that the client has no use for any more."""
    reader.byte()
    return [reader.number() for _ in range(reader.number())]


def read_schema(reader: RequestReader) -> str:
    """Return the schema that the client wants to be in."""
    reader.byte()
    return reader.announced().decode()


def unknown_call(function: int) -> OraError:
    """Return the error for a call that this server does not know."""
    names = {member.value: member.name for member in Function}
    return OraError(3115, f"unsupported network datatype or representation: call {names.get(function, function)}")
