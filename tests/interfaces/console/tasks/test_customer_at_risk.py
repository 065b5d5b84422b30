"""Why is this customer at risk, and what is done about it; and then about several at once."""

import json
import re

import pytest
from tests.support.shops.team_shop import colleague, hire

from patron.govern.access import audit_log
from patron.schema.access.access_rights import Grant, Role

WANDA = colleague("Wanda Work", Role.ADMIN, grants=[Grant.EXPORT])


@pytest.fixture(scope="module")
def console(team, serve):
    hire(team[0], WANDA)
    return team[0], serve(WANDA)


def test_somebody_at_risk_is_tagged_noted_called_and_snoozed(walk, console):
    shop, address = console
    late, sorry = walk.say(f"Parcel late ({walk.tag})", f"Say sorry ({walk.tag})"), f"Say sorry ({walk.tag})"
    walk.say("call first", "Wanda Work")
    entries = len(audit_log.entries(shop.store))
    walk.open(address)
    walk.navigate("watch_list")
    at_risk = walk.page.locator("#results tbody tr:has(.churn-reasons)").first
    value = at_risk.locator("td.strong").inner_text()
    walk.touch_link(re.compile("."), within=at_risk.get_by_role("rowheader"))
    assert walk.section("customer.risk").locator(".churn-reasons").is_visible(), "why, before what to do"
    tile = walk.page.locator(".key-facts li").filter(has_text=walk.t("column.value_at_risk"))
    shown = tile.locator(".tile-value").inner_text()
    assert round(amount(shown)) == amount(value), "the list and the page say the same"
    customer = walk.page.url
    walk.fill("work.tag", "call first")
    walk.press("work.add")
    assert walk.page.locator(".tags").inner_text().startswith("call first")
    walk.fill("work.note", late)
    walk.press("work.write_note")
    assert walk.t("work_done.note", n=1, count="1") in walk.page.locator(".toast").inner_text()
    walk.unfold("work.new_task")
    form = walk.page.locator("form").filter(has=walk.page.get_by_role("button", name=walk.t("work.create_task")))
    walk.choose("work.owner", "Wanda Work", within=form)
    walk.fill("work.instructions", sorry, within=form)
    walk.press("work.create_task")
    walk.unfold("work.snooze_or_assign")
    walk.press("work.snooze_action")
    walk.navigate("watch_list")
    assert walk.page.locator(f"a[href='{customer.partition('?')[0].removeprefix(address)}']").count() == 0
    walk.navigate("tasks")
    task = walk.page.get_by_role("listitem").filter(has_text=sorry).last
    walk.unfold("tasks.finish", within=task)
    walk.choose("tasks.outcome", walk.t("outcome.reached"), within=task)
    walk.press("tasks.close", within=task)
    walk.touch_link(re.compile(f"^{re.escape(walk.t('tasks.closed'))}"))
    assert sorry in walk.text
    done = [entry for entry in audit_log.entries(shop.store)[entries:] if "Wanda Work" in entry.details]
    steps = ["customers tagged", "note written", "tasks created", "watch list snoozed", "task closed"]
    assert [entry.action for entry in done] == steps
    assert late not in json.dumps([entry.details for entry in done]), "a note is nobody's but its readers'"


def test_several_are_assigned_at_once(walk, console):
    walk.say("Wanda Work")
    walk.open(console[1])
    walk.navigate("watch_list")
    for box in walk.page.locator("[data-pick]").all()[:2]:
        box.check()
    walk.press("work.task_action")
    assert walk.heading == walk.t("work_act.task", n=2, count="2")
    walk.choose("work.playbook", walk.t("playbook.apologise"))
    walk.press("work_act.task", n=2, count="2")
    assert walk.t("work_done.tasks", n=2, count="2") in walk.page.locator(".toast").inner_text()
    walk.navigate("tasks")
    assert walk.text.count(walk.t("playbook.apologise")) >= 2


def amount(text: str) -> float:
    """A price without its currency."""
    return float(re.sub(r"[^\d.]", "", text))
