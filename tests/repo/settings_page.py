"""docs/settings.md as text, from the settings classes of the processes; `make docs` writes it, a test compares it."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import sys
import textwrap
from collections.abc import Iterator

from pydantic.fields import FieldInfo
from sluice_lineage.rates.settings import RateSettings
from sluice_rpc.settings import EnvironmentSettings
from sluice_warehouse.oracle_settings import OracleSettings
from sluice_warehouse.permit_settings import PermitSettings

from tests.repo.tree import PROCESSES, ROOT

PAGE = ROOT / "docs" / "settings.md"
SHARED: dict[str, type[EnvironmentSettings]] = {
    "permits": PermitSettings,
    "warehouse": OracleSettings,
    "rate limits": RateSettings,
}
"""What processes read besides their own: permits and the warehouse all that run statements, rate limits lineage."""

HEAD = """# Settings

Each process reads its settings once, at start, from environment variables with its own prefix; the query engine and
lineage read those of permits and of the warehouse besides, and lineage those of rate limits. A variable with a prefix
of ours that names no setting stops the process, and so does a value that does not fit; the message names the variable.
Defaults are for one machine, as `sluice demo` uses it. A second variable in a row is an older name that is accepted
too.

Written by `make docs` from the classes; edit the docstrings there.
"""


def settings_class(process: str) -> type[EnvironmentSettings]:
    """Return the settings class of a process."""
    module = importlib.import_module(f"sluice_{process.replace('-', '_')}.settings")
    found: type[EnvironmentSettings] = module.Settings
    return found


def page() -> str:
    """Return the whole page."""
    own = {process: settings_class(process) for process in PROCESSES}
    return "\n".join([HEAD, *(section(name, settings) for name, settings in {**own, **SHARED}.items())])


def section(name: str, settings: type[EnvironmentSettings]) -> str:
    """Return the heading and table of one process, or of what several share."""
    rows = [f"## {name}\n", "| Variable | Default | Meaning |", "|---|---|---|"]
    meanings = docstrings(settings)
    for (key, field), variables in zip(settings.model_fields.items(), settings.variable_names().values(), strict=True):
        spelt = ", ".join(f"`{variable}`" for variable in variables)
        rows.append(f"| {spelt} | {default_of(field)} | {meanings[key]} |")
    return "\n".join(rows) + "\n"


def default_of(field: FieldInfo) -> str:
    """Return a default as it would be written in the environment; paths of a clone start at its root."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    text = str(value).replace(str(ROOT), ".") if value not in (None, "") else ""
    return f"`{text}`" if text else "empty"


def docstrings(settings: type[EnvironmentSettings]) -> dict[str, str]:
    """Return the text below each setting in the sources of the class and its bases."""
    found: dict[str, str] = {}
    for owner in reversed(settings.__mro__):
        if issubclass(owner, EnvironmentSettings):
            found |= dict(_attribute_docstrings(owner))
    return found


def _attribute_docstrings(owner: type) -> Iterator[tuple[str, str]]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    for statement, below in itertools.pairwise(body):
        match statement, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.repo.settings_page --write")
    PAGE.write_text(page(), encoding="utf-8")
