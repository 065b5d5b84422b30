"""A colleague is invited to a team that sees one segment: they join by the link and see those customers only."""

import re
from datetime import UTC, datetime

import pytest
from tests.support.console_walk import walking
from tests.support.shops.team_shop import colleague

from patron.commands.segments.save_segment import save_segment
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Role
from patron.schema.tables import SEGMENTS
from patron.storage.runs.last_run import last_run
from patron.storage.segments.segment_query import member_ids

SEGMENT = "leaving"
ADA = colleague("Ada", Role.ADMIN)
PASSWORD = "seven quiet herons at dusk"  # noqa: S105 - of nobody


@pytest.fixture(scope="module")
def console(team, serve):
    rule = {"field": "churn_probability", "op": ">=", "value": 0.4}
    save_segment(RequestContext.from_name(team[0], "x", now=datetime.now(UTC)), {"name": SEGMENT, "rule": rule})
    return team[0], serve(ADA), serve(None)


def test_an_invited_colleague_sees_the_customers_of_the_team_and_no_others(walk, console, chromium):
    shop, ada, address = console
    team = walk.say(f"team {walk.tag}")
    walk.say(SEGMENT, "Ada", "Ben")
    email = f"ben.{walk.screen}.{walk.locale}@example.com".lower()
    walk.say(email)
    walk.open(ada)
    walk.navigate("settings")
    walk.follow("settings.teams")
    walk.fill("user.team", team)
    walk.choose("teams.segment", SEGMENT)
    walk.press("preferences.save")
    walk.follow("settings.users")
    walk.follow("users.invite")
    walk.fill("sign_in.email", email)
    walk.fill("user.name", "Ben")
    walk.untick("role.viewer")
    walk.tick("role.marketer")
    walk.choose("user.team", team)
    walk.press("users.invite_submit")
    link = walk.page.locator(".secret").inner_text()
    assert link.startswith(f"{ada}/join/")

    members = set(member_ids(last_run(shop), SEGMENT)["customer_id"].to_pylist())
    everybody = set(shop.lake.read(SEGMENTS)["customer_id"].to_pylist())
    hidden = min(everybody - members)
    with walking(chromium, walk.locale, walk.screen, walk.is_elsewhere) as ben:
        ben.say(SEGMENT, "Ben", team, email)
        ben.open(link.replace(ada, address))
        ben.fill("sign_in.password", PASSWORD)
        ben.press("join.submit")
        ben.navigate("customers")
        count = int(re.sub(r"\D", "", re.search(r"[\d,]+", ben.page.locator("#results .count").inner_text())[0]))
        assert count == len(members) < len(everybody)
        ben.open(f"/customers/{hidden}", refused=404)
        refusal, nobody = ben.text.replace(hidden, "…"), "e" * len(hidden)
        ben.open(f"/customers/{nobody}", refused=404)
        assert ben.text.replace(nobody, "…") == refusal, "a customer of others is as unknown as nobody"
        ben.open("/settings/users", refused=403)
        ben.open(link.replace(ada, address), refused=410)
