"""Which answers are packed: `Accept-Encoding` with its weights."""

from __future__ import annotations

import pytest
from sluice_gateway.encoding import takes_gzip
from sluice_gateway.web_page import BUNDLE_DIR, WebPage


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("gzip", True),
        ("GZip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip ; q = 0.5", True),
        ("", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, br", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("notgzip", False),
        ("identity, gzip;q=0.5", False),
        ("gzip;q=2", False),
        ("br, gzip;level=9", False),
    ],
)
def test_gzip_is_taken_where_its_weight_is_above_zero_and_not_below_that_of_plain_bytes(
    header: str, taken: bool
) -> None:
    assert takes_gzip([header]) is taken


def test_several_headers_are_one_list() -> None:
    assert takes_gzip(["br", "gzip;q=0"]) is False


def test_no_header_is_answered_plain() -> None:
    assert takes_gzip([]) is False


@pytest.mark.parametrize(("headers", "coding"), [(["gzip"], "gzip"), (["gzip;q=0"], None), (["notgzip"], None)])
def test_a_file_of_the_page_is_packed_for_who_takes_it(headers: list[str], coding: str | None) -> None:
    name = next((BUNDLE_DIR / "assets").iterdir()).name
    answer = WebPage().asset(name, headers)
    assert answer is not None
    assert (answer.headers.get("content-encoding"), answer.headers["vary"]) == (coding, "Accept-Encoding")
