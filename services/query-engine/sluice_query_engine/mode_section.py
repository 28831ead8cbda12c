"""The `[modes]` table of a dataset.toml: which ways there are to ask, and what each needs and reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sluice_query_engine.dataset import Parameter
from sluice_query_engine.modes import Mode, Modes
from sluice_query_engine.parts import Part, Stage
from sluice_query_engine.toml_section import Section


def read_modes(file: Section, parameters: Sequence[Parameter], tables: Mapping[str, Part | Stage]) -> Modes | None:
    """Return the ways to ask, or None where there is only one.

    Raises:
        CatalogError: a mode is no value of the parameter, or the other way round; it names what is not there; or it
            reads ids of a part that it does not read.
    """
    if "modes" not in file:
        return None
    section = file.section("modes")
    by_name = {item.name: item for item in parameters}
    parameter = section.text("parameter")
    if parameter not in by_name or by_name[parameter].type != "choice":
        raise section.error("parameter", f"{parameter!r} is not a choice among the parameters")
    modes = Modes(parameter, tuple(_mode(section, name, by_name, tables) for name in by_name[parameter].choices))
    section.close()
    for mode in modes.modes:
        for name, item in tables.items():
            sources = item.id_sources
            if sources and modes.reads(mode, name) and not any(modes.reads(mode, source) for source in sources):
                raise section.error(mode.name, f"reads {name}, but nothing that gives its ids")
    return modes


def optional_outside(modes: Modes | None, parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Return the parameters, of which those that a mode requires are left to the modes."""
    required = frozenset() if modes is None else modes.required_somewhere
    return tuple(replace(item, required=False) if item.name in required else item for item in parameters)


def _mode(section: Section, name: str, parameters: Mapping[str, Parameter], tables: Mapping[str, Part | Stage]) -> Mode:
    inner = section.section(name)
    mode = Mode(name, inner.texts("requires", ()), inner.texts("parts", ()))
    inner.close()
    for key, names, known in (("requires", mode.requires, parameters), ("parts", mode.parts, tables)):
        for item in names:
            if item not in known:
                raise inner.error(key, f"{item!r} is not among {', '.join(known)}")
    return mode
