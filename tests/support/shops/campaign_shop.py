"""A workspace with an approved campaign, filled by hand: people with addresses, consents, and who is assigned."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import sqlalchemy as sa

from patron.collect.loader import load_events
from patron.engage.channels.channel import Handover, Outcome
from patron.govern.vault import Vault, initial_customer_id
from patron.schema.outreach.channels.channel_description import EMAIL_ADDRESS
from patron.schema.tables import IDENTITIES, TRAITS
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, MESSAGES
from patron.storage.shop import POLICY_FILE, SETTINGS_FILE, Shop

AT = datetime(2024, 3, 1, 12, tzinfo=UTC)
NAME = "win back"
BODY = 'Hello {{ customer.first_name | default: "you" }}, <a href="{{ unsubscribe_url }}">no more</a>'
POLICY = """
[messages]
quiet_hours = []
caps = []
[consent]
unknown = "refuse"
[budget]
amount = 1000000.00
"""


@dataclass(frozen=True)
class Person:
    """Somebody who is assigned, and what they said."""

    name: str
    consent: bool | None = True
    topic: bool | None = None
    zone: str = ""
    has_address: bool = True
    is_holdout: bool = False
    is_planned: bool = True
    offer: str = ""
    cost_cents: float = 0.0
    send_at: datetime | None = AT
    email: str = ""

    @property
    def address(self) -> str:
        return self.email or f"{self.name}@people.example"


def with_policy(shop, text=POLICY):
    (shop.folder / POLICY_FILE).write_text(text, encoding="utf-8")
    return Shop.open(shop.folder)


def customer_of(shop, person):
    return initial_customer_id(Vault.open(shop).token("user_id", person.name))


def add_people(shop, people, *, at=AT - timedelta(days=30)):
    """Store who they are and what they agreed to; identities as a run would leave them."""
    events = []
    for one in people:
        personal = {"first_name": one.name.title()}
        personal |= {"email": one.address} if one.has_address else {}
        base = {"user_id": one.name, "occurred_at": at}
        who = {"event_id": f"who-{one.name}", "name": "Identify", "personal": json.dumps(personal)}
        events.append(base | who)
        for purpose, answer in (("marketing", one.consent), ("offers", one.topic)):
            if answer is not None:
                events.append(base | answer_event(one, purpose, is_granted=answer, at=at))
    load(shop, events)
    vault = Vault.open(shop)
    tokens = [vault.token("user_id", person.name) for person in people]
    rows = [
        {"token": token, "customer_id": initial_customer_id(token), "is_user": True, "known_at": at} for token in tokens
    ]
    shop.lake.replace(IDENTITIES, pa.Table.from_pylist(rows, schema=IDENTITIES.schema()))
    zone = {"trait": "time_zone", "occurred_at": at, "known_at": at}
    zones = [
        zone | {"customer_id": row["customer_id"], "value": one.zone, "event_id": f"who-{one.name}"}
        for one, row in zip(people, rows, strict=True)
        if one.zone
    ]
    shop.lake.replace(TRAITS, pa.Table.from_pylist(zones, schema=TRAITS.schema()))


def answer_event(person, purpose, *, is_granted, at):
    name = "Consent Given" if is_granted else "Consent Withdrawn"
    identifier = f"{purpose}-{person.name}-{at.timestamp()}"
    properties = json.dumps({"purpose": purpose, "basis": "consent"})
    return {
        "event_id": identifier,
        "name": name,
        "occurred_at": at,
        "user_id": person.name,
        "properties": properties,
    }


def load(shop, events, *, received_at=AT):
    names = sorted({name for event in events for name in event})
    columns = {
        name: pa.array(
            [event.get(name) for event in events],
            pa.timestamp("us", tz="UTC") if name == "occurred_at" else pa.string(),
        )
        for name in names
    }
    counts = load_events(shop, pa.table(columns), source="web", known="occurred", received_at=received_at)
    assert counts.rejected == 0


def approve(shop, people, *, name=NAME, start="2024-03-01T00:00:00", end="2024-03-15T00:00:00", **changes):
    """Save a campaign that is planned for these people and approved."""
    content = {
        "name": name,
        "segment": "everybody",
        "topic": "offers",
        "channel": "file",
        "budget": 1_000_000.0,
        "start": start,
        "end": end,
        "template": {"en": {"subject": "Hello", "body": BODY, "format": "html"}},
    }
    campaign = Campaign.of(content | changes, where="test")
    with shop.store.begin() as connection:
        saved = CAMPAIGN.save(connection, campaign, "Ann", AT)
        connection.execute(sa.delete(ASSIGNMENTS).where(ASSIGNMENTS.c.campaign == name))
        if people:
            connection.execute(sa.insert(ASSIGNMENTS), [assignment(shop, person, name) for person in people])
        for step, by in (("planned", "Ann"), ("approved", "Bo")):
            CAMPAIGN.take_step(connection, name, step, saved.version, by, AT)
    return campaign


def assignment(shop, one, name):
    return {
        "campaign": name,
        "customer_id": customer_of(shop, one),
        "is_holdout": one.is_holdout,
        "assigned_at": AT,
        "version": 1,
        "is_planned": one.is_planned and not one.is_holdout,
        "offer": one.offer,
        "send_at": one.send_at,
        "expected_cost_cents": one.cost_cents,
    }


def step(shop, name, *, campaign=NAME, version=1):
    with shop.store.begin() as connection:
        CAMPAIGN.take_step(connection, campaign, name, version, "Ann", AT)


def messages(shop, campaign=NAME):
    """State and reason of each customer's message."""
    table = MESSAGES.c
    with shop.store.begin() as connection:
        chosen = sa.select(table.customer_id, table.state, table.reason).where(table.campaign == campaign)
        return {row[0]: (row[1], row[2]) for row in connection.execute(chosen)}


class ScriptedChannel:
    """A channel that keeps what it takes, and answers as a function of the address and the attempt says."""

    name = "file"
    address_kind = EMAIL_ADDRESS

    def __init__(self, answer=lambda _address, _attempt: Outcome.SENT):
        self.taken = []
        self.attempts = {}
        self.answer = answer

    async def hand_over(self, handed):
        for one in handed:
            self.attempts[one.recipient] = self.attempts.get(one.recipient, 0) + 1
            outcome = self.answer(one.recipient, self.attempts[one.recipient])
            if outcome in {Outcome.SENT, Outcome.UNKNOWN}:
                self.taken.append(one)
            yield Handover(one.message_id, outcome, "250 done")

    @property
    def addresses(self):
        return [one.recipient for one in self.taken]


def with_mail_server(shop, port, **settings):
    """The shop with an SMTP server on this machine as its channel."""
    listed = {"host": "127.0.0.1", "port": port, "security": "none", "from": "shop@shop.example"}
    listed |= {"public_url": "http://127.0.0.1:8321", **settings}
    section = "\n".join(f"{key} = {json.dumps(value)}" for key, value in listed.items())
    path = shop.folder / SETTINGS_FILE
    path.write_text(f"{path.read_text('utf-8')}\n[channels.email]\n{section}\n", encoding="utf-8")
    return Shop.open(shop.folder)
