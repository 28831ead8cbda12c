"""Patterns of JSON Schema: whether a text matches one, and what is told to who gave another text."""

from __future__ import annotations

import re
from typing import Final

from sluice_gateway.body import JSON

_WHOLE: Final = re.compile(r"\^\(\?:(?P<body>.*)\)\$", re.DOTALL)
_GROUP: Final = re.compile(r"\(\?<\w+>(?P<body>(?:[^()\\]|\\.)*)\)")
_WORDS: Final = re.compile(r"\w+(\|\w+)*")
_DAY: Final = r"\d{4}-\d{2}-\d{2}"
_SPECIAL: Final = re.compile(r"[\\()\[\]{}.*+?|^$]")


def matches(pattern: str, text: str) -> bool:
    """Say whether the pattern is found in the text; its `$` is the very end, as in ECMAScript."""
    return re.search(_in_python(pattern), text, re.ASCII) is not None


def wanted(pattern: str, examples: JSON) -> str:
    """Return what a text must look like, for people: its form in words where it has one, and an example."""
    example = examples[0] if isinstance(examples, list) and examples else None
    form = _form(pattern)
    if form is None:
        return f"must match {pattern}" if example is None else f"must look like {example}"
    return f"must have the form {form}" if example is None else f"must have the form {form}, for example {example}"


def _form(pattern: str) -> str | None:
    """Return `YYYY-MM-DD:(new or release)` for a pattern of days, words and fixed text; None for any other."""
    whole = _WHOLE.fullmatch(pattern)
    if whole is None:
        return None
    fixed: list[str] = []
    groups: list[str] = []
    at = 0
    for found in _GROUP.finditer(whole["body"]):
        body = found["body"]
        if body != _DAY and not _WORDS.fullmatch(body):
            return None
        words = body.split("|")
        said = "YYYY-MM-DD" if body == _DAY else words[0] if len(words) == 1 else f"({' or '.join(words)})"
        fixed.append(whole["body"][at : found.start()])
        groups.append(said)
        at = found.end()
    texts = [re.sub(r"\\(\W)", r"\1", text) for text in (*fixed, whole["body"][at:])]
    plain = [re.sub(r"\\\W", "", text) for text in (*fixed, whole["body"][at:])]
    if not groups or any(_SPECIAL.search(text) for text in plain):
        return None
    return "".join(text + said for text, said in zip(texts, (*groups, ""), strict=True))


def _in_python(pattern: str) -> str:
    """Return the pattern as Python spells it: named groups, and an end before which no line break stands."""
    named = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", pattern)
    return named[:-1] + r"\Z" if named.endswith("$") and not named.endswith(r"\$") else named
