"""The made shop as a team left it after a day's work: one of everything that pages show, and a session that sees it."""

import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.shops.known_people import TEAM, add_known_people
from tests.support.shops.team_shop import in_a_thread, with_addresses

from patron.commands.access.manage_keys import create_key
from patron.commands.access.manage_users import save_team
from patron.commands.customers.customer_work import TaskDraft, add_tag, create_tasks, write_note
from patron.commands.data.manage_webhooks import add_webhook
from patron.commands.insight.saved_questions import QuestionDraft, pin_question, save_question
from patron.commands.offers.propose_policy import propose_policy
from patron.commands.outreach.campaigns import campaign_steps
from patron.commands.outreach.campaigns.measure_campaign import measure_campaign
from patron.commands.outreach.campaigns.plan_campaign import plan_campaign
from patron.commands.outreach.campaigns.save_campaign import save_campaign
from patron.commands.outreach.journeys.journey_examples import journey_text
from patron.commands.outreach.journeys.plan_journey import plan_journey
from patron.commands.outreach.journeys.save_journey import save_journey
from patron.commands.outreach.messages.hold_sending import hold_sending
from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.commands.privacy.privacy_requests import erase_person, open_request
from patron.govern.access import users
from patron.govern.access.request_context import RequestContext
from patron.govern.access.user_sessions import Browser, create_session
from patron.govern.access.users import Access
from patron.interfaces.console.screenshots import served
from patron.interfaces.http.access.access_control import SESSION_COOKIE
from patron.schema.access.access_rights import Grant, Role
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.journey_file import JOURNEY, Journey
from patron.storage.runs.jobs import RUN, add_job, new_job
from patron.storage.shop import POLICY_FILE, Shop

NOW = datetime.now(UTC)
ANN, BO = "Ann (user 00000000000a)", "Bo (user 00000000000b)"
POLICY = '[messages]\nquiet_hours = []\ncaps = []\n[consent]\nunknown = "allow"\n[budget]\namount = 100000.00\n'
POLICY += '[[offers]]\nid = "TEN"\nname = "10 % off"\ndiscount_share = 0.1\nassumed_purchase_uplift = 0.3\n'
TEXT = "Hello {{ customer.first_name | default: 'you' }}, no more: {{ unsubscribe_url }}"
CONTENT = {
    "name": "autumn", "segment": TEAM, "channel": "file", "topic": "offers", "offers": ["TEN"], "budget": 5000.0,
    "holdout_share": 0.4, "start": "2017-09-01T09:00:00", "end": "2099-01-01T00:00:00",
    "template": {"en": {"subject": "Autumn", "body": TEXT, "format": "text"}},
}  # fmt: skip


@dataclass(frozen=True)
class FurnishedShop:
    """The shop, its address, and the cookie of somebody who may do everything."""

    shop: Shop
    address: str
    cookie: dict[str, str]


@contextmanager
def furnished_shop(made_shop: Shop, folder: Path) -> Iterator[FurnishedShop]:
    """Serve a copy of the made shop in which people have worked."""
    known = add_known_people(made_shop, folder / "w")
    known.shop.close()
    (folder / "w" / POLICY_FILE).write_text(POLICY, encoding="utf-8")
    with closing(Shop.open(folder / "w")) as shop:
        secret = add_staff(shop)
        add_work(shop, known.visible.customer_id)
        engage(shop)
        _govern(shop, known.visible.email, known.hidden.email)
        with served(shop, visitor=None) as address:
            named = address.replace("127.0.0.1", "localhost")  # passkeys belong to a name
            yield FurnishedShop(shop, named, {"name": SESSION_COOKIE, "value": secret, "url": named})


def add_staff(shop: Shop) -> str:
    """Somebody with every role, and others; the session of the first."""
    with shop.store.begin() as connection:
        everything = Access(tuple(Role), tuple(Grant))
        user_id = users.add_user(connection, "ada@example.com", "Ada", everything, by="test", at=NOW)
        users.change_user(connection, user_id, state="active")
        users.add_user(connection, "cy@example.com", "Cy", Access((Role.MARKETER,)), by=ANN, at=NOW)
        now = datetime.now(UTC)  # why: NOW is long past where the tests before took long
        secret = create_session(connection, user_id, Browser("", ""), has_second_factor=False, at=now)
    save_team(RequestContext.from_name(shop, ANN, now=NOW), "top customers", segment=TEAM)
    create_key(RequestContext.from_name(shop, ANN, now=NOW), "shop window", "write")
    add_webhook(
        RequestContext.from_name(shop, ANN, now=NOW),
        "https://shop.example.com/patron",
        ("run.finished",),
        note="Ask before",
    )
    return secret


def add_work(shop: Shop, customer_id: str) -> None:
    create_tasks(
        RequestContext.from_name(shop, ANN, now=NOW), [customer_id], TaskDraft("call", "Ask about the last order")
    )
    add_tag(RequestContext.from_name(shop, ANN, now=NOW), [customer_id], "vip")
    write_note(RequestContext.from_name(shop, ANN, now=NOW), customer_id, "Prefers to be called in the evening")
    definition = {"sql": "select customer_id, paid_cents from customers order by 2 desc limit 5"}
    question = save_question(
        RequestContext.from_name(shop, ANN, now=NOW), QuestionDraft("largest customers", definition)
    )
    pin_question(RequestContext.from_name(shop, ANN, now=NOW), question, is_pinned=True)
    with shop.store.begin() as connection:
        add_job(connection, new_job(RUN, {"as_of": "2017-10-01T00:00:00+00:00"}, by=ANN, now=NOW))


def engage(shop: Shop) -> None:
    """A campaign and a journey under way, and one of each that waits for somebody to approve it."""
    with_addresses(shop)
    for name in ("autumn", "winter"):
        save_campaign(
            RequestContext.from_name(shop, ANN, now=NOW), Campaign.of({**CONTENT, "name": name}, where="test")
        )
        plan_campaign(RequestContext.from_name(shop, ANN, now=NOW), name)
    campaign_steps.approve(RequestContext.from_name(shop, BO, now=NOW), CAMPAIGN, "autumn")
    in_a_thread(send_campaign, RequestContext.from_name(shop, now=NOW + timedelta(days=1)), "autumn")
    measure_campaign(RequestContext.from_name(shop, ANN, now=NOW), "autumn")
    text = tomllib.loads(journey_text("abandoned_cart", NOW))
    for name in ("cart", "another cart"):
        save_journey(RequestContext.from_name(shop, ANN, now=NOW), Journey.of({**text, "name": name}, where="test"))
        plan_journey(RequestContext.from_name(shop, ANN, now=NOW), name)
    campaign_steps.approve(RequestContext.from_name(shop, BO, now=NOW), JOURNEY, "cart")
    hold_sending(RequestContext.from_name(shop, ANN, now=NOW), since=NOW)


def _govern(shop: Shop, email: str, erased: str) -> None:
    """A proposal, and requests: one open, one done whose certificate can be read."""
    propose_policy(
        RequestContext.from_name(shop, ANN, now=NOW), POLICY.replace("100000", "200000"), note="More in winter"
    )
    open_request(
        RequestContext.from_name(shop, ANN, now=NOW), "erasure", email, words="Please erase me", received_at=NOW
    )
    done = open_request(RequestContext.from_name(shop, ANN, now=NOW), "erasure", erased, received_at=NOW)
    erase_person(RequestContext.from_name(shop, ANN, now=NOW), done)
