"""Who may be written to, before a campaign is planned: the checks of sending, counted."""

from datetime import timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa
from tests.support.shops.campaign_shop import AT, POLICY, Person, add_people, customer_of, with_policy

from patron.commands.outreach.messages.lasting_obstacles import lasting_obstacles
from patron.commands.outreach.messages.message_reach import count_obstacles
from patron.govern.outreach.suppression_list import ALL_TOPICS, HARD_BOUNCE, suppress
from patron.govern.vault import Vault
from patron.storage.outreach.campaign_tables import MESSAGES

PEOPLE = (
    Person("ann"),
    Person("ben"),
    Person("nay", consent=False),
    Person("who", consent=None),
    Person("off", has_address=False),
    Person("top", topic=False),
    Person("bad"),
)


def counted(shop, people=PEOPLE):
    ids = [customer_of(shop, person) for person in people]
    return count_obstacles(shop, ids, channel="email", topic="offers", now=AT)


@pytest.fixture
def known(shop):
    shop = with_policy(shop)
    add_people(shop, PEOPLE)
    contact = Vault.open(shop).token("email", PEOPLE[-1].address)
    with shop.store.begin() as connection:
        suppress(connection, contact, "email", ALL_TOPICS, HARD_BOUNCE, AT)
    return shop


def test_everybody_who_may_not_be_written_to_counts_under_the_first_reason(known):
    assert counted(known) == {
        "": 2,
        "consent_withdrawn": 1,
        "consent_unknown": 1,
        "no_address": 1,
        "topic_withdrawn": 1,
        "suppressed": 1,
    }


def test_a_plan_finds_by_queries_what_the_checks_before_sending_find_one_by_one(known):
    ids = [customer_of(known, person) for person in PEOPLE]
    view = known.newest_snapshot()
    table = pa.table({"customer_id": pa.array(ids, pa.string())})
    about = {"channel": "email", "topic": "offers", "now": AT, "end": AT + timedelta(days=10)}
    found = lasting_obstacles(view, table, **about)
    by_name = {person.name: found[one] for person, one in zip(PEOPLE, ids, strict=True) if one in found}
    assert by_name == {"nay": "no_consent", "off": "no_address", "top": "topic_withdrawn", "bad": "suppressed"}
    assert lasting_obstacles(view, table, **about | {"channel": "webhook"}).keys() <= found.keys()


@pytest.mark.parametrize(("days", "is_capped"), [(5, True), (10, False)])
def test_who_had_as_many_messages_as_the_policy_allows_is_left_out_where_that_lasts_until_the_end(
    known, days, is_capped
):
    shop = with_policy(known, POLICY.replace("caps = []", "caps = [{ most = 2, within_days = 7 }]"))
    someone = customer_of(shop, PEOPLE[0])
    row = {"campaign": "old", "customer_id": someone, "channel": "email", "topic": "offers", "state": "sent"}
    row |= {"reason": "", "offer": "", "consent_basis": "consent", "attempt_count": 1, "written_at": AT, "sent_at": AT}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(MESSAGES), [row | {"message_id": f"m{number}"} for number in range(2)])
    table = pa.table({"customer_id": pa.array([someone], pa.string())})
    now = AT + timedelta(days=1)
    about = {"channel": "email", "topic": "offers", "now": now, "end": AT + timedelta(days=days)}
    assert lasting_obstacles(shop.newest_snapshot(), table, **about) == ({someone: "capped"} if is_capped else {})
