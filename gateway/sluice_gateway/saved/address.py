"""Which addresses of the web page are kept: checked so that a link leads nowhere else and carries no secret."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from sluice_rpc.errors import InvalidParameter

MAX_ADDRESS_CHARS = 16_000
"""A thousand lots in an address are 15,000 characters."""
_MAX_FIELDS = 100
_PAGE = re.compile(r"/(d/[A-Za-z0-9_-]{1,64}|trace|timeline)")
# What a browser leaves as it is in a query string; no blank, no quote, no angle bracket, no fragment.
_QUERY = re.compile(r"[!$%&'()*+,\-./0-9:;=?@A-Z\[\]^_`a-z{|}~]*")
_FIELDS = frozenset(
    {"r", "v", "s", "g", "b", "cols", "cmp", "kind", "seed", "dir", "depth", "as", "sel", "tab", "dom", "of"}
)
# Where lots come from: a dataset, how many were taken of how many, their order, then days and filters.
_ORIGIN = re.compile(
    r"[a-z0-9-]{1,64},[0-9]{1,9},[0-9]{1,9}\+?,\w{1,64},(asc|desc)"
    r"(,[0-9]{4}-[0-9]{2}-[0-9]{2}\.\.[0-9]{4}-[0-9]{2}-[0-9]{2})?(,\w{1,64}:[^,\s]{0,2000}){0,4}",
    re.ASCII,
)
_NAMED_FIELD = re.compile(r"[fxm]\.[A-Za-z0-9_.-]{1,64}")


def checked_address(text: str) -> str:
    """Return an address of the page, `/d/hold-history?r=-30d`, once it is known to be one.

    Raises:
        InvalidParameter: another page or site, a field that no page has, one given twice, or too long.
    """
    if len(text) > MAX_ADDRESS_CHARS:
        raise InvalidParameter("path", f"is longer than {MAX_ADDRESS_CHARS:,} characters")
    page, mark, query = text.partition("?")
    if not _PAGE.fullmatch(page):
        raise InvalidParameter("path", "must be a dataset's page, /trace or /timeline, with its fields")
    if not _QUERY.fullmatch(query) or (mark and not query):
        raise InvalidParameter("path", "holds characters that an address does not have")
    fields = parse_qsl(query, keep_blank_values=True, max_num_fields=None)
    names = [name for name, _ in fields]
    unknown = sorted({name for name in names if name not in _FIELDS and not _NAMED_FIELD.fullmatch(name)})
    if unknown:
        raise InvalidParameter("path", f"has fields that no page has: {', '.join(unknown)[:200]}")
    if len(names) > _MAX_FIELDS or len(names) != len(set(names)):
        raise InvalidParameter("path", f"must name at most {_MAX_FIELDS} fields, each of them once")
    if any(name == "of" and not _ORIGIN.fullmatch(value) for name, value in fields):
        raise InvalidParameter("path", "says in its field of where lots come from in a form that no page has")
    return text
