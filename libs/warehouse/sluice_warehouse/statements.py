"""Statements from `.sql` files: header required, comments stripped, binds found, alternatives picked.

Text is cut into tokens first, so quotes and comments never confuse a bind with text. No value ever enters the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

MAX_ID_COUNT: Final = 1000
"""Oracle refuses a longer IN list (ORA-01795)."""

_TOKEN: Final = re.compile(
    r"""
    (?P<hint>/\*\+.*?\*/)
  | (?P<comment>--[^\n]*|/\*.*?\*/)
  | (?P<string>[qQ]'\[.*?\]'|[qQ]'\{.*?\}'|[qQ]'\(.*?\)'|[qQ]'<.*?>'|[qQ]'(?P<mark>[^\s\w]).*?(?P=mark)'|'(?:[^']|'')*')
  | (?P<quoted>"[^"]*")
  | (?P<cast>::)
  | (?P<bind>:[A-Za-z][A-Za-z0-9_]*)
  | (?P<odd>:|/\*|'|")
  | (?P<end>;)
  | (?P<word>[A-Za-z_][A-Za-z0-9_$\#]*)
  | (?P<rest>\s+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ALTERNATIVE: Final = re.compile(r"^--[ \t]*alternative:[ \t]*(?P<name>[a-z][a-z0-9_]*)[ \t]*$", re.MULTILINE)
_BIND_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


class StatementError(Exception):
    """A `.sql` file is no statement of ours; the message names the file and the fault."""


@dataclass(frozen=True)
class Statement:
    """One statement in the SQL that Oracle and DuckDB both run, binds written `:name`."""

    name: str
    """What it is called in logs and errors; the file's name unless told otherwise."""
    text: str
    """The SQL without comments (hints stay) and without the closing semicolon."""
    bind_names: tuple[str, ...]
    """Each bind once, in order of first appearance."""


class _Token(NamedTuple):
    kind: str
    text: str


def load(path: Path, *, name: str | None = None, alternative: str | None = None) -> Statement:
    """Return the statement of a `.sql` file.

    The file opens with a comment that says what one row is. A file with alternatives marks each with a line
    `-- alternative: <name>`; all of them bind the same names.

    Args:
        path: the file.
        name: what the statement is called; the file's stem unless given.
        alternative: which of the marked texts; must be given exactly when the file has them.

    Raises:
        StatementError: no header, no such alternative, not exactly one statement, or a malformed bind.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StatementError(f"{path}: cannot be read ({type(error).__name__})") from error
    if not source.lstrip().startswith("--"):
        raise StatementError(f"{path}: has no header comment that says what one row is")
    try:
        return parse(name or path.stem, _pick(source, alternative))
    except ValueError as error:
        raise StatementError(f"{path}: {error}") from None


def parse(name: str, source: str) -> Statement:
    """Return the one statement of a text.

    Raises:
        ValueError: not exactly one statement, an open quote or comment, or a bind that is not lower-case letters,
            digits and underscores.
    """
    kept: list[_Token] = []
    for token in _tokens(source):
        if token.kind == "comment":
            # A comment separates words like a blank does.
            kept.append(_Token("rest", " "))
        elif token.kind == "odd":
            raise ValueError(f"stray {token.text!r}: an open quote, an open comment or a bind without a name")
        else:
            kept.append(token)
    while kept and (not kept[-1].text.strip() or kept[-1].kind == "end"):
        # One semicolon may close it; another one is a second statement, if an empty one.
        if kept.pop().kind == "end":
            break
    text = "".join(token.text for token in kept).strip()
    if not text:
        raise ValueError("holds no statement")
    if any(token.kind == "end" for token in kept):
        raise ValueError("holds more than one statement")
    binds = tuple(dict.fromkeys(token.text[1:] for token in kept if token.kind == "bind"))
    for bind in binds:
        if not _BIND_NAME.fullmatch(bind):
            raise ValueError(f"bind :{bind} is not lower case")
    return Statement(name, "\n".join(line.rstrip() for line in text.splitlines() if line.strip()), binds)


def to_duckdb(statement: Statement) -> str:
    """Return the text as DuckDB reads it: binds `$name`, and `with recursive` where Oracle says `with` alone."""
    tokens = list(_tokens(statement.text))
    words = [position for position, token in enumerate(tokens) if token.kind == "word"]
    first_words = [tokens[position].text.lower() for position in words[:2]]
    if first_words[:1] == ["with"] and first_words[1:] != ["recursive"]:
        tokens[words[0]] = _Token("word", "with recursive")
    return "".join(f"${token.text[1:]}" if token.kind == "bind" else token.text for token in tokens)


def expand_ids(statement: Statement, name: str, count: int) -> Statement:
    """Return the statement with `in (:name)` widened to `count` binds, `:name_1` and so on.

    Args:
        statement: has the bind `name` only as the one element of IN lists.
        name: the bind that stands for the list.
        count: ids in the list, 1 to 1000; callers cut longer lists and decide what an empty one means.

    Raises:
        ValueError: the count is outside 1 to 1000, or the bind is not there or not alone in an IN list.
    """
    if not 1 <= count <= MAX_ID_COUNT:
        raise ValueError(f"an id list has 1 to {MAX_ID_COUNT} ids, not {count}")
    if name not in statement.bind_names:
        raise ValueError(f"{statement.name!r} has no bind :{name}")
    tokens = list(_tokens(statement.text))
    wide_names = [f"{name}_{number}" for number in range(1, count + 1)]
    wide = ", ".join(f":{wide_name}" for wide_name in wide_names)
    for position, token in enumerate(tokens):
        if token.kind == "bind" and token.text == f":{name}":
            if not _alone_in_list(tokens, position):
                raise ValueError(f"bind :{name} of {statement.name!r} does not stand alone in an IN list")
            tokens[position] = _Token("rest", wide)
    text = "".join(token.text for token in tokens)
    at = statement.bind_names.index(name)
    names = [*statement.bind_names[:at], *wide_names, *statement.bind_names[at + 1 :]]
    return replace(statement, text=text, bind_names=tuple(dict.fromkeys(names)))


def id_binds(name: str, ids: Sequence[str]) -> dict[str, str]:
    """Return the binds that `expand_ids` made, with these values in order."""
    return {f"{name}_{number}": value for number, value in enumerate(ids, start=1)}


def _pick(source: str, alternative: str | None) -> str:
    marks = list(_ALTERNATIVE.finditer(source))
    names = [mark["name"] for mark in marks]
    if not marks and alternative is None:
        return source
    if alternative not in names:
        raise ValueError(f"alternative {alternative!r} is not among {names}")
    if len(set(names)) != len(names):
        raise ValueError("two alternatives have one name")
    texts = [
        source[mark.end() : following.start() if following else len(source)]
        for mark, following in zip(marks, [*marks[1:], None], strict=True)
    ]
    if len({frozenset(_bind_names(text)) for text in texts}) > 1:
        raise ValueError("the alternatives do not have the same binds")
    return texts[names.index(alternative)]


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        assert kind is not None
        # lastgroup is the last *closed* group, which for a q-string is the whole string again.
        yield _Token(kind, match[0])


def _bind_names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(token.text[1:] for token in _tokens(text) if token.kind == "bind"))


def _alone_in_list(tokens: Sequence[_Token], position: int) -> bool:
    before = [token.text.lower() for token in tokens[:position] if token.text.strip()]
    after = [token.text for token in tokens[position + 1 :] if token.text.strip()]
    return before[-2:] == ["in", "("] and after[:1] == [")"]
