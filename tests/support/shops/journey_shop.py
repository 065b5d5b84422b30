"""Journeys that are under way in a workspace, the events that customers send, and where everybody stands."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import sqlalchemy as sa
from tests.support.shops.campaign_shop import AT, customer_of

from patron.collect.loader import load_events
from patron.commands.outreach.journeys.advance_journeys import advance_journeys
from patron.schema.tables import BY_NAME, SEGMENT_FIELDS, SEGMENT_MEMBERS, TRIGGER_MEMBERS
from patron.storage.outreach.approved_terms import segment_triggers
from patron.storage.outreach.campaign_tables import JOURNEY_ENTRIES, MESSAGES
from patron.storage.outreach.journey_file import JOURNEY, Journey
from patron.storage.store.store import RUNS

CART = "abandoned cart"
START = AT
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BODY = (
    '{{ customer.first_name | default: "you" }}: {{ product.id | default: "-" }} <a href="{{ unsubscribe_url }}">no</a>'
)


def send(**changes):
    return {"do": "send", "template": {"en": {"subject": "Hello", "body": BODY, "format": "html"}}, **changes}


WAIT_AN_HOUR = {"do": "wait", "hours": 1}
AN_HOUR_LATER = (WAIT_AN_HOUR, send())


def journey(steps=AN_HOUR_LATER, trigger=None, *, name=CART, **changes):
    content = {
        "name": name,
        "trigger": trigger or {"event": "Product Added"},
        "steps": list(steps),
        "channel": "file",
        "topic": "offers",
        "monthly_budget": 1_000_000.0,
        "holdout_share": 0.0,
    }
    return Journey.of(content | changes, where="test")


def approve(shop, one, at=START):
    """Save a journey, plan and approve it; the next round starts it."""
    with shop.store.begin() as connection:
        saved = JOURNEY.save(connection, one, "Ann", at)
        for step, by in (("planned", "Ann"), ("approved", "Bo")):
            JOURNEY.take_step(connection, one.name, step, saved.version, by, at)
    return saved


def start(shop, one, at=START, channel=None):
    """Approve a journey, and let a round take it up."""
    approve(shop, one, at)
    advance(shop, at, channel)


def step(shop, name, *, journey=CART, version=1, at=START):
    with shop.store.begin() as connection:
        JOURNEY.take_step(connection, journey, name, version, "Ann", at)


def advance(shop, at, channel=None):
    """One round at a time, in which nothing may go wrong."""
    by_name = None if channel is None else (lambda _name: channel)
    due_at, troubles = advance_journeys(shop, clock=lambda: at, channel=by_name)
    assert troubles == []
    return due_at


def happen(shop, *events, received_at=None):
    """Store events of customers: (user_id, name, at), with more columns as a fourth."""
    rows = []
    for number, (user_id, name, at, *more) in enumerate(events):
        fields = more[0] if more else {}
        row = {"event_id": f"{user_id}-{name}-{at.timestamp()}-{number}", "user_id": user_id, "name": name}
        rows.append(row | {"occurred_at": at} | fields)
    names = sorted({name for row in rows for name in row})
    kinds = {"occurred_at": pa.timestamp("us", tz="UTC"), "price_cents": pa.int64()}
    columns = {name: pa.array([row.get(name) for row in rows], kinds.get(name, pa.string())) for name in names}
    latest = max(at for _, _, at, *_ in events)
    received = received_at or latest
    counts = load_events(shop, pa.table(columns), source="web", known="occurred", received_at=received.astimezone(UTC))
    assert counts.rejected == 0


def entries(shop, name=CART):
    """State, reason and step of every entry, in the order in which they entered."""
    table = JOURNEY_ENTRIES.c
    with shop.store.begin() as connection:
        chosen = sa.select(JOURNEY_ENTRIES).where(table.journey == name).order_by(table.entered_at, table.entry_id)
        return [dict(row) for row in connection.execute(chosen).mappings()]


def standing(shop, name=CART):
    return [(entry["state"], entry["reason"], entry["step"]) for entry in entries(shop, name)]


def message_states(shop, name=CART):
    table = MESSAGES.c
    with shop.store.begin() as connection:
        chosen = sa.select(table.state, table.reason).where(table.campaign == name)
        return sorted((row[0], row[1]) for row in connection.execute(chosen))


def at_hour(hours, minutes=0):
    return START + timedelta(hours=hours, minutes=minutes)


def properties(**values):
    return {"properties": json.dumps(values)}


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def finish_run(shop, as_of, people, members=(), stage="active", **fields_of):
    """A finished run that knows these people, with `members` those who are in the segment "leaving" from then on.

    They have lapsed; the others are at a stage. More fields of people are told as value_decile={person: 3}.
    """
    run_id = f"run-{as_of:%Y%m%d%H%M}"
    ids = [customer_of(shop, person) for person in people]
    stages = {customer_of(shop, member): "lapsed" for member in members}
    fields = [
        {"run_id": run_id, "customer_id": one, "as_of": as_of, "lifecycle_stage": stages.get(one, stage)}
        | {name: values[person] for name, values in fields_of.items()}
        for one, person in zip(ids, people, strict=True)
    ]
    shop.lake.append(SEGMENT_FIELDS, pa.Table.from_pylist(fields, schema=SEGMENT_FIELDS.schema()))
    stays = [
        {"segment": "leaving", "customer_id": customer_of(shop, member), "entered_at": as_of} for member in members
    ]
    shop.lake.append(SEGMENT_MEMBERS, pa.Table.from_pylist(stays, schema=SEGMENT_MEMBERS.schema()))
    of_triggers = [
        {"journey": trigger.journey, "approval": trigger.approval, **{k: v for k, v in stay.items() if k != "segment"}}
        for trigger in segment_triggers(shop.store)
        for stay in stays
    ]
    shop.lake.append(TRIGGER_MEMBERS, pa.Table.from_pylist(of_triggers, schema=TRIGGER_MEMBERS.schema()))
    versions = {name: shop.lake.version(BY_NAME[name]) for name in BY_NAME if name != "events"}
    row = {"run_id": run_id, "as_of": as_of, "finished_at": as_of, "seconds": 1.0, "seed": 0, "policy_version": "x"}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(row | {"table_versions": versions, "summary": {}}))
