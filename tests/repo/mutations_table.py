"""The table of mistakes in docs/requirements.md, from `tests/soak/mutations.toml`; `make docs` writes it."""

from __future__ import annotations

import sys

from tests.repo.tree import ROOT, text_of
from tests.soak.mutation import Mutation, mutations

PAGE = ROOT / "docs" / "requirements.md"
BEGIN = "| Id | Mistake | Made in | Turns red |\n|---|---|---|---|\n"


def table() -> str:
    """Return the rows as Markdown, heading included."""
    rows = (
        f"| {one.requirement} | {one.about} | `{one.file}` | `{one.test}` |"
        for one in sorted(mutations(), key=_position)
    )
    return BEGIN + "\n".join(rows) + "\n"


def _position(mutation: Mutation) -> tuple[int, ...]:
    return tuple(int(number) for number in mutation.requirement[1:].split("."))


def page() -> str:
    """Return the whole page with the table as it has to be."""
    head, found, rest = text_of(PAGE).partition(BEGIN)
    if not found:
        raise LookupError(f"{PAGE.name} has no table of mistakes")
    return head + table() + "\n" + rest.partition("\n\n")[2]


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.repo.mutations_table --write")
    PAGE.write_text(page(), encoding="utf-8")
