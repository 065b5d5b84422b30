"""A whole task: from an empty workspace by an uploaded Shopify file to a first run that Today shows."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from patron.interfaces.console.screenshots import browser, served
from patron.interfaces.i18n.translations import words
from patron.schema.access_rights import Actor, Role, rights_of_user
from patron.schema.errors import MissingExtra
from patron.schema.tables import EVENTS
from shopify_export import export

pytestmark = pytest.mark.browser
T = words("en")
PATIENCE = 60_000


@pytest.fixture
def page():
    opening = browser()
    try:
        opened = opening.__enter__()
    except MissingExtra as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    yield opened.new_page(viewport={"width": 1280, "height": 900})
    opening.__exit__(None, None, None)


def violations(page) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - needs the browser

    return [one["id"] for one in Axe().run(page).response["violations"]]


def test_an_uploaded_file_becomes_a_run_that_today_shows(shop, page, tmp_path):
    text, _ = export(12, datetime.now(UTC) - timedelta(days=40), 38)
    (tmp_path / "orders.csv").write_text(text)
    ada = Actor("Ada (user 00aa)", rights_of_user([Role.ADMIN]), user_id="00aa")
    with served(shop, ada) as address:
        page.goto(address)
        assert T("today.no_run") in page.content()
        page.get_by_role("link", name=T("setup.import.do")).click()
        page.set_input_files("input[type=file]", tmp_path / "orders.csv")
        page.get_by_role("button", name=T("upload.send")).click()
        assert T("upload.recognised", name="Shopify") in page.content()
        assert page.input_value("[name=shop_currency]") == "EUR"
        assert "@example.com" not in page.content().lower()
        assert violations(page) == []
        assert not shop.lake.exists(EVENTS)
        page.get_by_role("button", name=T("upload.import")).click()
        page.get_by_text(T("job.became")).wait_for(timeout=PATIENCE)
        page.get_by_role("link", name=T("runs.now")).click()
        page.get_by_role("button", name=T("runs.start"), exact=True).click()
        page.get_by_role("link", name=T("nav.overview"), exact=True).nth(1).wait_for(timeout=PATIENCE)
        page.get_by_role("main").get_by_role("link", name=T("nav.today")).click()
        assert T("today.no_run") not in page.content()
        assert page.locator(".setup .done b").all_inner_texts() == [T("setup.import"), T("setup.run")]
    assert list((shop.folder / "tmp" / "uploads").iterdir()) == []
