"""View-time filters: what a request gives becomes a predicate that was declared and the values it binds.

No value ever enters a text: a predicate is the dataset's own, values travel as binds named after their filter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from sluice_query_engine.dataset import BindPython, Dataset
from sluice_query_engine.parameters import parse_date
from sluice_query_engine.view import ChoiceFilter, Filter, MatchFilter, PatternFilter, SetFilter
from sluice_query_engine.violations import Violations, has_control_character, one_of, shown

_MAX_PATTERN_LENGTH = 200


@dataclass(frozen=True)
class Condition:
    """A predicate over the main table and the values it binds; an empty predicate keeps every row."""

    predicate: str
    binds: Mapping[str, BindPython] = field(default_factory=dict)


def conditions(dataset: Dataset, given: Mapping[str, object], violations: Violations) -> dict[str, Condition]:
    """Return the condition of each filter by name, in declaration order, defaults included.

    Null counts as not given. What is wrong is added to `violations`, and the filter then keeps every row.
    """
    known = {item.name for item in (*dataset.filters, *dataset.view_parameters)}
    for name in given:
        if name not in known:
            violations.add(str(name), f"is not a filter of {dataset.name}; it has {one_of(sorted(known))}")
    return {item.name: _condition(item, given.get(item.name), violations) for item in dataset.filters}


def _condition(item: Filter, value: object, violations: Violations) -> Condition:
    match item:
        case ChoiceFilter():
            return _choice(item, value, violations)
        case SetFilter():
            return _set(item, value, violations)
        case MatchFilter():
            return _match(item, value, violations)
        case PatternFilter():
            return _pattern(item, value, violations)


def _choice(item: ChoiceFilter, value: object, violations: Violations) -> Condition:
    chosen = item.default if value is None else value
    if chosen is None:
        return Condition("")
    if isinstance(chosen, str) and chosen in item.predicates:
        return Condition(item.predicates[chosen])
    violations.add(item.name, f"{shown(chosen)} is not one of {one_of(item.predicates)}")
    return Condition("")


def _set(item: SetFilter, value: object, violations: Violations) -> Condition:
    if value is None:
        chosen: list[object] = [*item.default]
    elif isinstance(value, str):
        # The values are words of ours without commas, so a comma list is unambiguous here.
        chosen = [word.strip() for word in value.split(",", len(item.predicates) + 1)]
    elif isinstance(value, list | tuple):
        chosen = [*value]
    else:
        violations.add(item.name, f"{shown(value)} is not a list")
        return Condition("")
    if value is not None and not chosen:
        violations.add(item.name, f"is empty; name at least one of {one_of(item.predicates)}")
    unknown = [word for word in chosen if not isinstance(word, str) or word not in item.predicates]
    if unknown:
        violations.add(item.name, f"{shown(unknown[0])} is not one of {one_of(item.predicates)}")
        return Condition("")
    wanted = [predicate for word, predicate in item.predicates.items() if word in chosen]
    if not wanted or "" in wanted:
        return Condition("")
    return Condition(" or ".join(f"({predicate})" for predicate in wanted))


def _match(item: MatchFilter, value: object, violations: Violations) -> Condition:
    if value is None:
        return Condition("")
    lists: Mapping[object, object] = value if isinstance(value, Mapping) else {"include": value}
    for key in lists:
        if key not in ("include", "exclude"):
            violations.add(item.name, f"{shown(key)} is neither include nor exclude")
    included = _texts(item, lists.get("include", []), violations)
    excluded = _texts(item, lists.get("exclude", []), violations)
    terms = []
    binds: dict[str, BindPython] = {}
    if included.wanted:
        terms.append(_inside(item, included, f"{item.name}_include", binds))
    if excluded.wanted:
        # A missing value is no excluded text, so it stays unless it is excluded by its label.
        terms.append(f"({_inside(item, excluded, f'{item.name}_exclude', binds)}) is not true")
    chosen = " and ".join(f"({term})" for term in terms)
    return Condition(f"({item.keeps}) or ({chosen})" if chosen and item.keeps else chosen, binds)


@dataclass(frozen=True)
class _Texts:
    """Texts to look for, and whether missing values are meant too."""

    texts: list[str]
    missing: bool

    @property
    def wanted(self) -> bool:
        return bool(self.texts) or self.missing


def _inside(item: MatchFilter, texts: _Texts, bind: str, binds: dict[str, BindPython]) -> str:
    terms = []
    if texts.texts:
        terms.append(f"list_contains(${bind}, {item.column})")
        binds[bind] = texts.texts
    if texts.missing:
        terms.append(f"{item.column} is null")
    return " or ".join(terms)


def _texts(item: MatchFilter, value: object, violations: Violations) -> _Texts:
    values = [*value] if isinstance(value, list | tuple) else [value]
    if len(values) > item.max_items:
        violations.add(item.name, f"has more than {item.max_items} values")
        return _Texts([], missing=False)
    texts: set[str] = set()
    missing = False
    for one in values:
        if one is None:
            missing = True
            continue
        fault = _text_fault(item, one)
        if fault is not None:
            violations.add(item.name, fault)
            continue
        text = str(one).strip()
        texts.add(text)
        missing = missing or text == item.null_label
    return _Texts(sorted(texts), missing)


def _text_fault(item: MatchFilter, value: object) -> str | None:
    if not isinstance(value, str):
        return f"{shown(value)} is not a text"
    if len(value) > item.max_length:
        return f"holds a value longer than {item.max_length} characters"
    if has_control_character(value):
        return "holds a control character"
    if not value.strip():
        return "holds a blank value; null stands for rows without one"
    return None


def _pattern(item: PatternFilter, value: object, violations: Violations) -> Condition:
    if value is None:
        return Condition("")
    found = None
    if isinstance(value, str) and len(value) <= _MAX_PATTERN_LENGTH:
        found = re.fullmatch(item.pattern, value.strip(), re.ASCII)
    if found is None:
        violations.add(item.name, f"{shown(value)} does not read like {item.example}")
        return Condition("")
    binds: dict[str, BindPython] = {}
    for group, kind in item.groups.items():
        parsed = parse_date(found[group]) if kind == "date" else found[group]
        if kind == "date" and isinstance(parsed, str):
            violations.add(item.name, parsed)
            return Condition("")
        binds[f"{item.name}_{group}"] = parsed
    days = [date.fromisoformat(found[group]) for group in item.days]
    if days != sorted(days):
        violations.add(item.name, f"begins on {days[0]} and ends on {days[1]}; give the earlier day first")
        return Condition("")
    return Condition(item.predicates[found[item.select]], binds)
