"""Request bodies: bounded bytes, then one strict JSON object that protobuf can carry."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import NoReturn, TypeAlias

from sluice_rpc.errors import InvalidParameter
from starlette.requests import ClientDisconnect, Request

from sluice_gateway.errors import BodyTooLarge, ClientLeft, UnsupportedMediaType, shortened

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

MAX_DEPTH = 8
"""Levels of nesting in a body; protobuf refuses past about thirty, no filter needs more than three."""
MAX_TEXT_CHARS = 4000
"""Longest single text: what the warehouse's longest text column holds. Error details ride in 8 KiB trailers."""
_MAX_INTEGER = 2**53
"""Numbers travel as doubles; a larger integer would arrive as another one."""


async def read_object(request: Request, limit_bytes: int, text_chars: int = MAX_TEXT_CHARS) -> dict[str, JSON]:
    """Return the JSON object that the request carries.

    Raises:
        UnsupportedMediaType: the content type is not JSON.
        BodyTooLarge: more than `limit_bytes`, seen while reading.
        InvalidParameter: empty, malformed, not an object, or holding what cannot be passed on.
        ClientLeft: the client closed the connection while sending.
    """
    content_type = request.headers.get("content-type", "")
    raw = await _read(request, limit_bytes)
    if not raw and not content_type:
        raise InvalidParameter("body", "is empty; send a JSON object")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise UnsupportedMediaType(content_type)
    if not raw.strip():
        raise InvalidParameter("body", "is empty; send a JSON object")
    value = parse(raw, "body", text_chars)
    if not isinstance(value, dict):
        raise InvalidParameter("body", "must be a JSON object")
    return value


def parse(raw: bytes | str, field: str, text_chars: int = MAX_TEXT_CHARS) -> JSON:
    """Return strict JSON: UTF-8, no NaN, no repeated names, at most eight levels, texts and numbers within bounds.

    Raises:
        InvalidParameter: naming `field`, or the field of the object that is at fault.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode("utf-8-sig")
        value: JSON = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)
    except UnicodeDecodeError:
        raise InvalidParameter(field, "is not UTF-8") from None
    except RecursionError:
        raise InvalidParameter(field, f"is nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        raise InvalidParameter(field, f"is not JSON: {error.msg} at character {error.pos}") from None
    except ValueError:
        # Python refuses to convert integers of thousands of digits.
        raise InvalidParameter(field, "holds a number that is too large") from None
    if isinstance(value, dict):
        for name, member in value.items():
            check_text(name, "body")
            _check(member, name, text_chars)
    else:
        _check(value, field, text_chars)
    return value


def check_text(text: str, field: str, most_chars: int = MAX_TEXT_CHARS) -> None:
    """Refuse texts that some hop would choke on.

    Raises:
        InvalidParameter: longer than `most_chars`, a NUL character, or half of a surrogate pair.
    """
    if len(text) > most_chars:
        raise InvalidParameter(shortened(field), f"holds a text longer than {most_chars:,} characters")
    if "\0" in text:
        raise InvalidParameter(shortened(field), "holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidParameter(shortened(field), "holds half of a surrogate pair")


def _check(value: JSON, field: str, text_chars: int) -> None:
    for depth, item in _walk(value):
        if depth > MAX_DEPTH:
            raise InvalidParameter(shortened(field), f"is nested deeper than {MAX_DEPTH} levels")
        if isinstance(item, str):
            check_text(item, field, text_chars)
        elif isinstance(item, float) and not math.isfinite(item):
            raise InvalidParameter(shortened(field), "holds a number that is too large")
        elif isinstance(item, int) and abs(item) > _MAX_INTEGER:
            raise InvalidParameter(shortened(field), "holds an integer beyond 2^53; send it as text")


def _walk(value: JSON) -> Iterator[tuple[int, JSON]]:
    """Yield every value with its depth, names of members included; no recursion, whatever the nesting."""
    waiting: list[tuple[int, JSON]] = [(2, value)]
    while waiting:
        depth, item = waiting.pop()
        yield depth, item
        members: Sequence[JSON] = ()
        if isinstance(item, list):
            members = item
        elif isinstance(item, dict):
            members = [*item.keys(), *item.values()]
        waiting.extend((depth + 1, member) for member in members)


async def _read(request: Request, limit_bytes: int) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    received = bytearray()
    try:
        async for piece in request.stream():
            received += piece
            if len(received) > limit_bytes:
                raise BodyTooLarge(limit_bytes)
    except ClientDisconnect:
        raise ClientLeft from None
    return bytes(received)


def _no_constant(name: str) -> NoReturn:
    raise InvalidParameter("body", f"holds {name}, which is not JSON")


def _object(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    members: dict[str, JSON] = {}
    for name, value in pairs:
        if name in members:
            raise InvalidParameter(shortened(name), "is given twice")
        members[name] = value
    return members
