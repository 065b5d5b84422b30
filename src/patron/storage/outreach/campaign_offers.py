"""What campaigns and journeys gave away, and what campaigns plan to: `offer_usage` adds what runs did."""

from collections import Counter
from datetime import UTC, datetime

import sqlalchemy as sa

from patron.schema.outreach.message_states import MAY_HAVE_ARRIVED, MessageState
from patron.storage.offers.delivery_tables import DELIVERIES
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, MESSAGES
from patron.storage.outreach.versioned_drafts import APPROVED, PAUSED, PLANNED, RUNNING
from patron.storage.store.declared_store import DeclaredStore
from patron.storage.store.store import Store

RESERVED = (PLANNED, APPROVED, RUNNING, PAUSED)
"""States of campaigns whose plan holds caps, stocks and budget; of every campaign what was sent does."""


def offers_by_customer(
    store: Store | DeclaredStore, since: datetime, until: datetime, *, without: str = ""
) -> dict[str, int]:
    """How many offers of campaigns each customer had or will have from `since` to `until`; who has none is left out."""
    table, counts = MESSAGES.c, Counter[str]()
    sent = sa.select(table.customer_id, sa.func.count(table.message_id)).group_by(table.customer_id)
    of_others = (table.offer != "", table.campaign != without, _is_sent(since, until))
    with store.begin() as connection:
        counts.update({row[0]: row[-1] for row in connection.execute(sent.where(*of_others))})
    for name, offer, _ in _planned(store, since, until, without):
        counts[name] += offer != ""
    return {name: count for name, count in counts.items() if count}


def offers_issued(
    store: Store | DeclaredStore, since: datetime, until: datetime, *, with_plans: bool = True, without: str = ""
) -> Counter[str]:
    """How many of each offer campaigns gave within a period, or plan to; of the campaign `without` what it gave."""
    table = MESSAGES.c
    sent = sa.select(table.offer, sa.func.count(table.message_id)).group_by(table.offer)
    with store.begin() as connection:
        rows = connection.execute(sent.where(table.offer != "", _is_sent(since, until)))
        counts = Counter[str]({row[0]: row[-1] for row in rows})
    if with_plans:
        counts.update(offer for _, offer, _ in _planned(store, since, until, without) if offer)
    return counts


def campaigns_spent_cents(
    store: Store | DeclaredStore,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    campaign: str = "",
    with_plans: bool = False,
    without: str = "",
) -> float:
    """Expected cost of what campaigns and journeys, or one of them, sent within a period or also plan to, cents.

    Of the campaign `without` only what it sent counts.
    """
    table, plan = MESSAGES.c, ASSIGNMENTS.c
    joined = sa.outerjoin(
        MESSAGES, ASSIGNMENTS, sa.and_(table.campaign == plan.campaign, table.customer_id == plan.customer_id)
    )
    cost = sa.func.coalesce(table.expected_cost_cents, plan.expected_cost_cents)
    chosen = sa.select(sa.func.sum(cost)).select_from(joined).where(_is_sent(since, until))
    if campaign:
        chosen = chosen.where(table.campaign == campaign)
    with store.begin() as connection:
        sent = float(connection.scalar(chosen) or 0.0)
    if not with_plans or since is None or until is None:
        return sent
    return sent + sum(cents for _, _, cents in _planned(store, since, until, without))


def _planned(
    store: Store | DeclaredStore, since: datetime, until: datetime, without: str
) -> list[tuple[str, str, float]]:
    """Customer, offer and expected cost of what campaigns but one plan to send within a period, and did not yet."""
    table, message = ASSIGNMENTS.c, MESSAGES.c
    is_settled = sa.exists().where(
        message.campaign == table.campaign,
        message.customer_id == table.customer_id,
        message.state != MessageState.WAITING,
    )
    with store.begin() as connection:
        given = set(connection.scalars(sa.select(DELIVERIES.c.campaign).where(DELIVERIES.c.campaign != "")))
        campaigns = [one for one in CAMPAIGN.all_saved(connection) if one.state in RESERVED]
        # why: until a run's offers are given to the campaign that sends them, the run holds them
        reserved = [one.name for one in campaigns if not one.content.run or one.name in given]
        chosen = sa.select(table.customer_id, table.offer, table.expected_cost_cents).where(
            *(table.campaign != without, table.campaign.in_(reserved), table.is_planned, ~is_settled),
            *(table.send_at >= since.astimezone(UTC), table.send_at < until.astimezone(UTC)),
        )
        rows = connection.execute(chosen).mappings().all() if reserved else []
    return [(row["customer_id"], row["offer"], row["expected_cost_cents"] or 0.0) for row in rows]


def _is_sent(since: datetime | None, until: datetime | None) -> sa.ColumnElement[bool]:
    """Condition of messages that may have arrived; what is unknown counts as sent."""
    sent_at = MESSAGES.c.sent_at
    conditions: list[sa.ColumnElement[bool]] = [MESSAGES.c.state.in_(MAY_HAVE_ARRIVED)]
    if since is not None:
        conditions.append(sent_at >= since.astimezone(UTC))
    if until is not None:
        conditions.append(sent_at < until.astimezone(UTC))
    return sa.and_(*conditions)
