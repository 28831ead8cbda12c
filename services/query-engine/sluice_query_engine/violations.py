"""Everything wrong with a request, gathered before anything is refused; what is valid is decided elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sluice_rpc.errors import FieldViolation, InvalidParameter

MAX_ECHO: Final = 40
"""Most characters of a caller's own text in a message: eight violations then fit the 8 KiB of gRPC trailers."""

MAX_VIOLATIONS: Final = 8
"""Violations that are spelt out; the rest are counted."""

_MAX_CHOICES: Final = 12
_MOST_DIGITS: Final = 10**15


class Violations:
    """Collects violations; `raise_if_any` turns them into one InvalidParameter that names every field at fault."""

    def __init__(self) -> None:
        self._found: list[FieldViolation] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, field: str, description: str) -> None:
        """Record one violation; a field name that the caller made up is shortened."""
        self._found.append(FieldViolation(shortened(field), description))

    def raise_if_any(self) -> None:
        """Raise InvalidParameter when at least one violation was added.

        Raises:
            InvalidParameter: with the first eight violations and the number of the others.
        """
        if not self._found:
            return
        told = self._found[:MAX_VIOLATIONS]
        rest = len(self._found) - len(told)
        if rest:
            last = told[-1]
            told[-1] = FieldViolation(last.field, f"{last.description} (and {rest} more)")
        raise InvalidParameter.of(told)


def shortened(text: str) -> str:
    """Return the text with control characters escaped, cut to what a message may echo."""
    if len(text) <= MAX_ECHO and text.isprintable():
        return text
    # Cut before escaping: the text may be 100 kB long. An escape may be cut in two, which harms nobody.
    return repr(text[: MAX_ECHO + 1])[1:-1][:MAX_ECHO] + "…"


def shown(value: object) -> str:
    """Return a caller's value for a message: quoted texts, names of structures, never more than MAX_ECHO characters."""
    match value:
        case None | bool():
            text = {None: "null", True: "true", False: "false"}[value]
        case str():
            text = f"“{shortened(value)}”"
        case int() if abs(value) > _MOST_DIGITS:
            text = "a huge number"
        case int() | float():
            text = f"{value:.15g}"
        case list() | tuple():
            text = "a list"
        case _:
            text = "an object"
    return text


def one_of(values: Collection[str]) -> str:
    """Return the allowed values for a message, the first dozen spelt out."""
    told = ", ".join(list(values)[:_MAX_CHOICES])
    return told if len(values) <= _MAX_CHOICES else f"{told}, … ({len(values)} in all)"


def has_control_character(text: str) -> bool:
    """Tell whether the text holds a character that no name on a shop floor has: below blank, or DEL to U+009F."""
    return any(character < " " or "\x7f" <= character <= "\x9f" for character in text)
