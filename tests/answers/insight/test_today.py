"""Today shows a reader what they may decide, urgent lines first, then by money; and the set-up until it is done."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from tests.support.shops.campaign_shop import NAME, approve

from patron.answers.customers.watch_list import watch_list_history
from patron.answers.data.run_history import compare_runs, run_history
from patron.answers.insight.today import run_items, today
from patron.commands.data.dismiss_setup import dismiss_setup_step
from patron.commands.outreach.messages.settle_message import settle_message
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import VISITOR, Actor, Role, rights_of_user
from patron.storage.customers.customer_tables import TASKS
from patron.storage.offers.proposal_tables import POLICY_PROPOSALS
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.privacy.privacy_tables import PRIVACY_REQUESTS
from patron.storage.runs.last_run import last_run

NOW = datetime(2026, 1, 10, tzinfo=UTC)


def user(*roles: Role, name: str = "Ada") -> Actor:
    return Actor(f"{name} (user 00)", rights_of_user(roles), user_id="00")


def propose(connection, by: str) -> None:
    row = {
        "proposal_id": 1,
        "base_version": "v",
        "content": "[budget]\namount = 2000\n",
        "note": "more",
        "decided_by": "",
    }
    more = {"state": "proposed", "proposed_at": NOW, "proposed_by": by, "previous_content": ""}
    connection.execute(sa.insert(POLICY_PROPOSALS).values(row | more))


def request_erasure(connection) -> None:
    row = {"request_id": "r", "kind": "erasure", "source": "email", "state": "open", "created_by": "x", "closed_by": ""}
    times = {"received_at": NOW - timedelta(days=31), "due_at": NOW - timedelta(days=1), "result": ""}
    connection.execute(sa.insert(PRIVACY_REQUESTS).values(row | times))


def test_a_reader_sees_what_is_theirs_to_decide_and_urgent_lines_first(shop):
    with shop.store.begin() as connection:
        propose(connection, "Bo (user 01)")
        request_erasure(connection)

    def kinds(actor):
        return [item.kind for item in today(shop, actor, None, now=NOW).items]

    both = user(Role.APPROVER, Role.PRIVACY_OFFICER)
    assert kinds(both) == ["requests_due", "policy_approval"]
    assert today(shop, both, None, now=NOW).value_cents == 200_000
    assert kinds(user(Role.APPROVER)) == ["policy_approval"]
    assert kinds(user(Role.MARKETER)) == []
    own = Actor("Bo (user 01)", rights_of_user([Role.APPROVER]), user_id="01")
    assert kinds(own) == []


def test_lines_of_a_run_are_ranked_by_money_and_restricted_by_rights(made_shop):
    of_run = run_items(last_run(made_shop))
    shown = today(made_shop, user(Role.ANALYST), of_run, now=NOW).items
    values = [one.value_cents or 0 for one in shown if not one.is_first]
    assert values == sorted(values, reverse=True)
    assert {"watch_list", "offers", "run_stale"} <= {one.kind for one in shown}
    agent = today(made_shop, user(Role.SERVICE_AGENT), of_run, now=NOW).items
    assert {one.kind for one in agent} == {"watch_list"}
    (watched,) = (one for one in agent if one.kind == "watch_list")
    assert watched.count == watch_list_history(last_run(made_shop))[0].customer_count, "as the watch list counts"


def test_the_set_up_is_listed_until_it_is_done_or_dismissed(shop):
    admin = user(Role.ADMIN)
    codes = [one.code for one in today(shop, admin, None, now=NOW).setup]
    assert codes == ["import", "run", "policy", "second_factor", "team", "channel", "campaign"]
    assert today(shop, VISITOR, None, now=NOW).setup == ()
    for code in codes:
        dismiss_setup_step(shop, code, admin, is_of_user=code == "second_factor", now=NOW)
    assert today(shop, admin, None, now=NOW).setup == ()
    other = Actor("Bo (user 01)", rights_of_user([Role.ADMIN]), user_id="01")
    assert [one.code for one in today(shop, other, None, now=NOW).setup] == ["second_factor"]


def test_two_runs_are_compared(made_shop):
    rows = run_history(made_shop).rows
    assert [row.run_id for row in rows] == ["2017-10-01", "2017-07-01"]
    first = run_history(made_shop, limit=1)
    assert run_history(made_shop, before=first.next_before).rows == rows[1:]
    compared = compare_runs(made_shop, "2017-07-01", "2017-10-01")
    customers = next(
        difference
        for difference in compared.differences
        if (difference.group, difference.code) == ("total", "customers")
    )
    assert customers.change == customers.now - customers.before == 3
    stages = [difference for difference in compared.differences if difference.group == "stage"]
    assert sum(stage.now for stage in stages) == customers.now


def test_a_message_of_unknown_outcome_is_a_line_until_it_is_settled(shop):
    approve(shop, [])
    row = {
        "message_id": "m",
        "campaign": NAME,
        "customer_id": "c",
        "channel": "file",
        "topic": "offers",
        "state": "unknown",
    }
    row |= {
        "reason": "",
        "offer": "",
        "consent_basis": "consent",
        "attempt_count": 1,
        "written_at": NOW,
        "sent_at": NOW,
    }
    with shop.store.begin() as connection:
        connection.execute(sa.insert(MESSAGES).values(row))
    (line,) = (
        item for item in today(shop, user(Role.MARKETER), None, now=NOW).items if item.kind == "messages_unknown"
    )
    assert (line.count, line.link) == (1, f"/campaigns/{NAME}/messages#unknown")
    settle_message(RequestContext.from_name(shop, "Ada", now=NOW), NAME, "m", is_sent=True)
    assert "messages_unknown" not in {item.kind for item in today(shop, user(Role.MARKETER), None, now=NOW).items}


def test_who_sees_some_customers_gets_the_tasks_of_those_and_no_line_about_all(made_shop, shop):
    with shop.store.begin() as connection:
        task = {
            "content": b"",
            "state": "open",
            "created_at": NOW,
            "created_by": "x",
            "is_holdout": False,
            "owner": "00",
        }
        task |= {"playbook": "", "reason": "", "outcome": "", "closed_by": "", "due_at": NOW}
        rows = [
            {**task, "task_id": f"{customer}{n}", "customer_id": customer, "value_at_risk_cents": 500}
            for customer, count in (("seen", 1), ("hidden", 2))
            for n in range(count)
        ]
        connection.execute(sa.insert(TASKS), rows)

    def due(actor, **among):
        items = today(shop, actor, None, now=NOW, **among).items
        return [(item.count, item.value_cents) for item in items if item.kind == "tasks_due"]

    agent = user(Role.SERVICE_AGENT)
    member = replace(agent, segment="west")
    assert due(agent) == [(3, 1_500)]
    assert due(member, among={"seen"}) == [(1, 500)]
    assert due(member, among={"nobody"}) == due(member) == []
    of_run = run_items(last_run(made_shop))
    shown = today(made_shop, replace(user(Role.ADMIN), segment="west"), of_run, now=NOW).items
    assert {one.kind for one in shown} & {"at_risk", "risk_rose", "offers"} == set()
    assert [one.value_cents for one in shown if one.kind == "model_alarm" and one.value_cents] == []
