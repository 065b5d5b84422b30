"""Whole tasks as a person does them: why is this customer at risk, and what is done about it."""

import os
import re
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from patron.govern import audit_log
from patron.interfaces.console.screenshots import browser, served
from patron.schema.access_rights import Actor, Grant, Role, rights_of_user
from patron.schema.errors import MissingExtra
from patron.storage.access_tables import USERS
from patron.storage.console_tables import CUSTOMER_NOTES, CUSTOMER_TAGS, SNOOZES, TASKS

pytestmark = pytest.mark.browser
NAME = "Wanda Work"
WANDA = Actor(
    f"{NAME} (user 0ddba11)", rights_of_user([Role.ADMIN], [Grant.EXPORT]), user_id="0ddba11", email="wanda@example.org"
)


@pytest.fixture
def at_work(made_shop):
    """A browser and the console as Wanda sees it."""
    user = {"user_id": WANDA.user_id, "email": WANDA.email, "name": NAME, "roles": ["admin"], "grants": []}
    user |= {"team": "", "password_hash": "", "state": "active", "locale": "", "created_by": "test"}
    with made_shop.store.begin() as connection:
        connection.execute(sa.insert(USERS).values(**user, created_at=datetime.now(UTC)))
    with ExitStack() as stack:
        try:
            chromium = stack.enter_context(browser())
        except MissingExtra as missing:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(missing))
        yield chromium, stack.enter_context(served(made_shop, WANDA))
    with made_shop.store.begin() as connection:
        connection.execute(sa.delete(USERS).where(USERS.c.user_id == WANDA.user_id))
        for table in (CUSTOMER_TAGS, CUSTOMER_NOTES, TASKS, SNOOZES):
            connection.execute(sa.delete(table))


def test_somebody_at_risk_is_tagged_noted_called_and_snoozed(made_shop, at_work):
    chromium, url = at_work
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{url}/watch-list?lang=en")
    at_risk = page.locator("#results tbody tr:has(.churn-reasons)").first
    value = at_risk.locator("td.strong").inner_text()
    at_risk.locator("a.who").click()
    assert page.locator("section:has(#risk) .churn-reasons").is_visible(), "why, before what to do"
    shown = float(page.locator(".key-facts .tile-value").nth(2).inner_text().lstrip("$").replace(",", ""))
    assert round(shown) == float(value.lstrip("$").replace(",", "")), "the list and the page say the same"
    customer_id = re.search(r"/customers/(\w+)", page.url)[1]
    page.locator(".work input[name=tag]:visible").fill("call first")
    page.get_by_role("button", name="Add").click()
    assert page.locator(".tags").inner_text().startswith("call first")
    page.locator(".work form[action$='/notes'] textarea").fill("Parcel was late")
    page.get_by_role("button", name="Save note").click()
    assert "Note saved" in page.locator(".toast").inner_text()
    page.get_by_text("New task").click()
    page.select_option(".work details[open] select[name=owner]", label=NAME)
    page.locator(".work details[open] textarea").fill("Say sorry for the parcel")
    page.get_by_role("button", name="Create task").click()
    page.get_by_text("Assign or snooze").click()
    page.get_by_role("button", name="Snooze").click()
    page.goto(f"{url}/watch-list")
    assert page.locator(f"a[href='/customers/{customer_id}']").count() == 0
    page.goto(f"{url}/tasks")
    assert "Say sorry for the parcel" in page.locator(".task").inner_text()
    page.get_by_text("Close or assign").click()
    page.select_option("select[name=outcome]", "reached")
    page.get_by_role("button", name="Close task").click()
    assert page.locator(".tabs a:has-text('Closed')").inner_text() == "Closed 1"
    done = [entry.action for entry in audit_log.entries(made_shop.store) if WANDA.name in entry.details]
    assert done[-5:] == ["customers tagged", "note written", "tasks created", "watch list snoozed", "task closed"]


def test_at_390_pixels_and_in_chinese_several_are_assigned_at_once(at_work):
    chromium, url = at_work
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    page.goto(f"{url}/watch-list?lang=zh_CN")
    for box in page.locator("[data-pick]").all()[:2]:
        box.check()
    page.get_by_role("button", name="创建任务").click()
    assert "为 2 位客户各创建一项任务" in page.locator("h1").inner_text()
    page.select_option("select[name=playbook]", "apologise")
    page.locator("main form button").click()
    assert "已创建 2 项任务" in page.locator(".toast").inner_text()
    page.goto(f"{url}/tasks?view=open")
    assert page.locator(".task b").all_inner_texts() == ["致歉", "致歉"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
