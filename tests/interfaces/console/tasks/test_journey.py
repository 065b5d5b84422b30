"""A journey from a ready-made one to its messages and its result."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from tests.support.shops.journey_shop import happen
from tests.support.shops.team_shop import colleague, in_a_thread

from patron.commands.outreach.journeys.advance_journeys import advance_journeys
from patron.schema.access.access_rights import Role
from patron.storage.store.store import RUNS

ANN, BO = colleague("Ann", Role.MARKETER), colleague("Bo", Role.APPROVER)
SHOPPERS = 12


def test_a_journey_is_made_approved_sends_and_is_measured(walk, team, serve):
    shop, mail = team
    name = walk.say(f"cart {walk.tag}")
    walk.say("Ann", "Bo", "You left something in your cart", "Still thinking about it?", "Product Added")
    walk.open(serve(ANN))
    walk.navigate("journeys")
    walk.follow("journeys.new")
    walk.touch_link(f"{walk.t('journeys.example_use')}: {walk.t('journey_example.abandoned_cart')}")
    walk.fill("campaign.name", name)
    walk.fill("campaign.holdout", "20")
    walk.fill("journey.monthly_budget", "500")
    walk.press("campaigns.form.save")
    walk.press("campaigns.plan")
    walk.follow("campaigns.review")

    walk.open(serve(BO))
    walk.navigate("journeys")
    walk.touch_link(name)
    walk.follow("campaigns.review")
    walk.press_here("campaigns.approve", version=1)
    walk.confirm()
    assert walk.t("state.approved") in walk.text
    before = len(mail.messages)
    live(shop)

    walk.open(serve(ANN))
    walk.navigate("journeys")
    walk.touch_link(name)
    assert walk.t("state.running") in walk.text
    sent = len(mail.messages) - before
    assert sent > 0
    walk.follow("campaigns.tab.result")
    walk.press("campaigns.measure")
    assert walk.t("campaigns.arm.holdout") in walk.text


def live(shop):
    """Customers put something into their carts, and an hour later the journey writes to them."""
    clock = {"now": datetime.now(UTC)}
    advance = lambda: in_a_thread(advance_journeys, shop, clock=lambda: clock["now"])  # noqa: E731
    advance()
    clock["now"] += timedelta(minutes=5)
    happen(shop, *((f"u{number}", "Product Added", clock["now"]) for number in range(SHOPPERS)))
    advance()
    clock["now"] += timedelta(hours=2)
    assert advance()[1] == []
    newest = sa.select(sa.func.max(RUNS.c.run_id)).scalar_subquery()
    with shop.store.begin() as connection:  # a run that knows who entered
        connection.execute(sa.update(RUNS).where(RUNS.c.run_id == newest).values(as_of=clock["now"]))
