"""What keeps people with a screen reader, a keyboard or weak eyes from a page, as axe finds it."""

from __future__ import annotations

import json
from typing import Any

from tests.browser.web_page import WebPage
from tests.browser.web_source import installed

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def violations(web: WebPage) -> list[str]:
    """Return what axe finds, with the elements it found it on."""
    if not web.page.evaluate("'axe' in window"):
        # Handed over as text: the page's own policy refuses a script that is not the gateway's.
        web.page.evaluate((installed() / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    found: list[Any] = web.page.evaluate(f"async () => (await axe.run({{ runOnly: {json.dumps(TAGS)} }})).violations")
    return [f"{item['id']}: {[node['html'][:160] for node in item['nodes'][:3]]}" for item in found]
