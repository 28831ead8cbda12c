"""Reading TOML with a complaint for everything unexpected; what the keys mean is decided by whoever reads them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from datetime import time
from pathlib import Path
from typing import Final, TypeVar

_T = TypeVar("_T")

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_KINDS: Final[Mapping[type, str]] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    time: "a time of day",
}


class CatalogError(Exception):
    """A dataset or reference folder is wrong; the message names the file and the key or the SQL at fault."""

    def __init__(self, path: Path, where: str, fault: str) -> None:
        super().__init__(f"{path}: {where}: {fault}" if where else f"{path}: {fault}")
        self.path = path
        self.where = where


class Section:
    """One table of a TOML file. Every key must be asked for: `close` complains of those that nobody knows.

    Args:
        path: the file, for messages.
        key: dotted key of the table, empty for the file itself.
        values: what stands there.
    """

    def __init__(self, path: Path, key: str, values: Mapping[str, object]) -> None:
        self.path = path
        self.key = key
        self._values = values
        self._asked: set[str] = set()

    @classmethod
    def read(cls, path: Path) -> Section:
        """Return the whole file.

        Raises:
            CatalogError: it cannot be read, or is not TOML.
        """
        try:
            return cls(path, "", tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise CatalogError(path, "", f"cannot be read: {error}") from error

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def error(self, name: str, fault: str) -> CatalogError:
        """Return the error that says what is wrong with a key of this table."""
        return CatalogError(self.path, self._dotted(name), fault)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text that is not blank; multi-line texts lose the blanks around them."""
        value = self._value(name, str, default)
        if name in self._values and not value.strip():
            raise self.error(name, "is blank")
        return value.strip()

    def predicate(self, name: str) -> str:
        """Return a text that may be empty."""
        return self._value(name, str, None).strip()

    def optional_text(self, name: str) -> str | None:
        """Return a text, or None when the key is not there."""
        self._asked.add(name)
        return self.text(name) if name in self._values else None

    def integer(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        """Return a whole number that is not below `least`."""
        value = self._value(name, int, default)
        if value < least:
            raise self.error(name, f"is {value}, below {least}")
        return value

    def boolean(self, name: str, default: bool | None = None) -> bool:
        """Return true or false."""
        return self._value(name, bool, default)

    def clock(self, name: str) -> time:
        """Return a time of day without a zone."""
        return self._value(name, time, None)

    def word(self, name: str, allowed: Collection[str]) -> str:
        """Return a text that is one of the allowed words."""
        value = self.text(name)
        if value not in allowed:
            raise self.error(name, f"is {value!r}, not one of {', '.join(allowed)}")
        return value

    def texts(self, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Return a list of texts, none of them twice."""
        values = self._value(name, list, None if default is None else [*default])
        if not all(isinstance(value, str) for value in values) or len(set(values)) != len(values):
            raise self.error(name, "is not a list of different texts")
        return tuple(values)

    def rows(self, name: str) -> tuple[Mapping[str, object], ...] | None:
        """Return a list of tables, or None when the key is not there."""
        self._asked.add(name)
        if name not in self._values:
            return None
        values = self._value(name, list, None)
        if not all(isinstance(value, dict) for value in values):
            raise self.error(name, "is not a list of tables")
        return tuple(values)

    def section(self, name: str) -> Section:
        """Return a table within this one."""
        return Section(self.path, self._dotted(name), self._value(name, dict, None))

    def sections(self, name: str, *, required: bool = True) -> list[tuple[str, Section]]:
        """Return the tables within a table by name, in the order they were written."""
        if not required and name not in self._values:
            self._asked.add(name)
            return []
        outer = self.section(name)
        return [(inner, outer.section(inner)) for inner in outer.names()]

    def names(self) -> Iterator[str]:
        """Give the keys of this table in the order they were written."""
        return iter(self._values)

    def close(self) -> None:
        """Complain of keys that nobody asked for.

        Raises:
            CatalogError: naming the first of them.
        """
        for name in self._values:
            if name not in self._asked:
                raise self.error(name, "is not a key that is known here")

    def _dotted(self, name: str) -> str:
        return f"{self.key}.{name}" if self.key else name

    def _value(self, name: str, kind: type[_T], default: _T | None) -> _T:
        self._asked.add(name)
        value = self._values.get(name, default)
        if value is None:
            raise self.error(name, "is missing")
        # A bool is an int to Python, and `parallel = true` is no number.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(name, f"is not {_KINDS[kind]}")
        return value


def read_labels(section: Section) -> dict[str, str]:
    """Return titles by language, of the key `labels`; none where there is no such key."""
    if "labels" not in section:
        return {}
    return read_languages(section.section("labels"))


def read_languages(section: Section) -> dict[str, str]:
    """Return a table of texts by language."""
    for name in section.names():
        if not _LANGUAGE.fullmatch(name):
            raise section.error(name, "is no language tag such as zh-TW")
    return {name: section.text(name) for name in section.names()}
