"""Every page that links lead to, in a browser: accessible, quiet, in its own language, and not wider than a phone.

Each is opened in one combination of language and theme, in turn; in all four with PATRON_TEST_BROWSER=all.
"""

import os
from itertools import cycle

import httpx
from tests.interfaces.console.test_browser import DRAWN, HIDDEN, SQUEEZED
from tests.support.console_walk import bring_axe, violations
from tests.support.shops.furnished_shop import furnished_shop

from patron.interfaces.charts.chart import NARROW
from patron.interfaces.console.page_walk import page_routes, walk_pages

COMBINATIONS = (("en", "light"), ("zh_CN", "dark"), ("en", "dark"), ("zh_CN", "light"))
OWN = ("http://localhost:", "data:", "about:")
PARTS = {"/customers/{customer_id}/contacts", "/campaigns/{name}/message-to/{customer_id}"}
PARTS |= {"/campaigns/{name}/message/{language}", "/journeys/{name}/message/{number}/{language}"}
FILES = {
    "/decisions/runs/{run_id}/file",
    "/explore/questions/{question_id}/csv",
    "/explore/vega.js",
    "/segments/{name}/members.csv",
}
OF_LINKS = {"/join/{link}", "/reset/{link}", "/set-up/{link}", "/sign-in", "/sign-in/code", "/reset"}
OF_LINKS |= {"/sign-in/sso/callback"}
AFTER_FORMS = {"/account/confirm", "/customers/act", "/ingestion/upload/{upload_id}"}
"""What no link of a page leads to: parts of pages, files, the way in, and answers to forms."""


def console_errors(page) -> list[str]:
    """Where complaints of the browser and requests to others will be listed."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda one: None if one.url.startswith(OWN) else complaints.append(one.url))
    return complaints


def problems_of(page, address: str, complaints: list[str]) -> list[str]:
    """What is wrong with a page on a wide screen and on a phone."""
    page.set_viewport_size({"width": 1400, "height": 900})
    complaints.clear()
    page.goto(address)
    problems = violations(page)
    if page.locator("[data-values]").count() and not page.locator("script[src*='chart-values.js']").count():
        problems.append("no script shows the values of its charts")
    page.set_viewport_size({"width": 390, "height": 844})
    width = page.evaluate("document.documentElement.scrollWidth")
    problems += [f"{width} px wide on a phone"] if width > 390 else []
    charts = [width for width in page.evaluate(DRAWN) if not 0.9 * NARROW <= width <= 390]
    problems += [f"charts drawn for another width: {charts}"] if charts else []
    return problems + page.evaluate(SQUEEZED) + page.evaluate(HIDDEN) + complaints


def test_every_page_is_accessible_quiet_and_fits_a_phone(made_shop, chromium, tmp_path):
    with furnished_shop(made_shop, tmp_path) as furnished:
        cookies = {furnished.cookie["name"]: furnished.cookie["value"]}
        with httpx.Client(base_url=furnished.address, cookies=cookies, follow_redirects=True, timeout=60) as client:
            found = walk_pages(client.get)
        assert set(page_routes()) - set(found) <= PARTS | FILES | OF_LINKS | AFTER_FORMS
        contexts = {}
        for locale, theme in COMBINATIONS:
            contexts[locale, theme] = context = chromium.new_context(color_scheme=theme)
            context.add_cookies([furnished.cookie])
            bring_axe(context)
        pages = {key: context.new_page() for key, context in contexts.items()}
        complaints = {key: console_errors(page) for key, page in pages.items()}
        turns = cycle(COMBINATIONS)
        is_whole = os.environ.get("PATRON_TEST_BROWSER") == "all"
        problems = {}
        for path in found.values():
            for locale, theme in COMBINATIONS if is_whole else (next(turns),):
                address = f"{furnished.address}{path}{'&' if '?' in path else '?'}lang={locale}"
                problems[path, locale, theme] = problems_of(pages[locale, theme], address, complaints[locale, theme])
        for context in contexts.values():
            context.close()
    assert {key: some for key, some in problems.items() if some} == {}
