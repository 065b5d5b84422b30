"""A segment is built, a campaign planned, approved by somebody else, sent with a holdout, and measured."""

import re
from datetime import UTC, datetime, timedelta

from tests.support.shops.team_shop import colleague, in_a_thread

from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Role

ANN, BO = colleague("Ann", Role.MARKETER), colleague("Bo", Role.APPROVER)


def test_a_segment_becomes_a_campaign_that_somebody_else_approves_and_that_is_measured(walk, team, serve):
    shop, mail = team
    ann, bo = serve(ANN), serve(BO)
    name, segment = walk.say(f"autumn {walk.tag}"), walk.say(f"buyers {walk.tag}")
    walk.say("TEN", "Autumn", "Nina", *(["Ann", "Bo"]))
    walk.open(ann)
    prepare(walk, name, segment)
    approve = walk.t("campaigns.approve", version=1)
    assert walk.page.get_by_role("button", name=approve).count() == 0, "its author does not approve it"

    walk.open(bo)
    walk.navigate("campaigns")
    walk.touch_link(name)
    walk.follow("campaigns.review")
    walk.page.frame_locator("iframe").first.get_by_text("Autumn, [first_name]").wait_for()
    walk.press_here("campaigns.approve", version=1)
    walk.confirm()
    assert walk.t("state.approved") in walk.text
    before = len(mail.messages)
    in_a_thread(send_campaign, RequestContext.from_name(shop, now=datetime.now(UTC) + timedelta(days=1)), name)

    walk.open(ann)
    walk.navigate("campaigns")
    walk.touch_link(name)
    sent = int(re.search(r"\d+", walk.page.locator("#sending .count").inner_text())[0])
    assert sent == len(mail.messages) - before > 5
    walk.follow("campaigns.tab.result")
    walk.press("campaigns.measure")
    learned = walk.page.locator("#learned").inner_text()
    assert learned.startswith(walk.t("learned.so_far").partition("{")[0])
    assert walk.t("campaigns.arm.holdout") in walk.section("campaigns.arms").inner_text()


def prepare(walk, name: str, segment: str) -> None:
    """Write a campaign for a segment that is made on the way, and plan it."""
    walk.navigate("campaigns")
    walk.follow("campaigns.new")
    walk.fill("campaign.name", name)
    walk.unfold("campaigns.form.new_segment")
    walk.press_here("builder.add")
    walk.choose("builder.subject", walk.t("segment_field.value"))
    walk.fill("builder.value", "1")
    counted = walk.page.locator(".rule-count b")
    counted.filter(has_text=re.compile(r"[1-9]\d*")).wait_for()
    walk.page.locator("[name=segment_name]").fill(segment)
    walk.press("segments.save")
    assert walk.page.get_by_role("status").first.inner_text() == walk.t("campaigns.form.segment_saved", name=segment)
    assert walk.labelled("campaign.name").input_value() == name, "nothing is lost"
    walk.page.locator("[name=offers]").check()
    walk.fill("campaign.budget", "5000")
    walk.fill("campaign.holdout", "40")
    walk.fill("campaign.start", "2017-09-01T09:00")
    walk.fill("campaign.end", "2099-01-01T09:00")
    walk.page.locator("[name=subject_en]").fill("Autumn, {{ customer.first_name | default: 'you' }}")
    walk.page.frame_locator("iframe").first.get_by_text("Autumn, [first_name]").wait_for()
    walk.press("campaigns.form.save")
    walk.press("campaigns.plan")
    walk.read("campaigns.tile.messages")
    walk.follow("campaigns.review")


def test_a_rule_with_two_conditions_is_built_and_read_back_in_words(walk, serve):
    walk.say("Bakery", "Ann")
    name = walk.say(f"warned {walk.tag}")
    walk.open(serve(ANN))
    walk.navigate("segments")
    walk.follow("segments.new")
    walk.press_here("builder.add")
    walk.choose("builder.subject", walk.t("segment_field.churn_probability"))
    walk.fill("builder.value", "40")
    walk.press_here("builder.add")
    row = walk.page.locator(".rule-row").nth(1)
    walk.choose("builder.include", walk.t("builder.exclude"), within=row)
    walk.choose("builder.subject", walk.t("builder.subject.bought"), within=row)
    walk.choose("builder.add_value", "Bakery", within=row)
    walk.page.locator(".rule-count b").filter(has_text=re.compile(r"\d")).wait_for()
    walk.look()
    walk.fill("segments.name", name)
    walk.press("segments.save")
    assert walk.heading == name
    rule = walk.page.locator(".rule-outline").inner_text()
    assert walk.t("segment_field.churn_probability") in rule
    assert "40%" in rule
    assert "Bakery" in rule
