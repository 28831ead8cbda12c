"""The page behind a proxy that shows it under a prefix: everything it asks for stays under the prefix."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.prefix_proxy import proxied
from tests.browser.web_page import HOST, tab
from tests.running_suite import RunningSuite

pytestmark = pytest.mark.browser

PREFIX = "/tools/sluice"


def test_28_the_page_works_under_a_prefix_and_stays_there(browser: Browser, suite: RunningSuite) -> None:
    with proxied(suite.ports.gateway, PREFIX) as (port, strays):
        with tab(browser, f"http://{HOST}:{port}{PREFIX}") as web:
            web.open("/")
            web.page.get_by_role("link", name="Hold history").first.click()
            expect(web.page.locator("h1")).to_have_text("Hold history")
            web.open_result("/d/hold-history?r=2025-10-01..2025-12-31")
            web.page.locator("section[aria-labelledby='view-reason_pareto'] .bar").first.click()
            expect(web.page.locator(".chip")).to_have_count(1)
            expect(web.page.locator(".chart canvas").first).to_be_visible()
            web.page.reload()
            web.await_rows()
            web.page.get_by_role("link", name="Operations").click()
            expect(web.page.get_by_text("Everything serves.")).to_be_visible()
            web.open(f"/trace?seed={','.join(f'GA{number:012}' for number in range(150))}")
            web.page.wait_for_url(f"**{PREFIX}/p/*")
            web.page.reload()
            expect(web.page.get_by_label("Names")).to_have_value("\n".join(f"GA{number:012}" for number in range(150)))
        assert strays == []
