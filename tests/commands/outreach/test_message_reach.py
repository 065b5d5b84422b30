"""Who may be written to, before a campaign is planned: the checks of sending, counted."""

import pytest
from tests.support.shops.campaign_shop import AT, Person, add_people, customer_of, with_policy

from patron.commands.outreach.messages.message_reach import count_obstacles
from patron.govern.outreach.suppression_list import ALL_TOPICS, HARD_BOUNCE, suppress
from patron.govern.vault import Vault

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
