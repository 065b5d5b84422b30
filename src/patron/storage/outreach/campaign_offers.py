"""What campaigns gave away: the runs' caps on offers, stocks and budget count it like offers of their own."""

from datetime import UTC, datetime

import sqlalchemy as sa

from patron.schema.outreach.message_states import MAY_HAVE_ARRIVED
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, MESSAGES
from patron.storage.store.declared_store import DeclaredStore
from patron.storage.store.store import Store


def offers_by_customer(store: Store | DeclaredStore, since: datetime, until: datetime) -> dict[str, int]:
    """How many offers each customer had from campaigns after `since` and before `until`; who had none is left out."""
    table = MESSAGES.c
    chosen = sa.select(table.customer_id, sa.func.count(table.message_id))
    chosen = chosen.where(table.offer != "", *_within(since, until)).group_by(table.customer_id)
    with store.begin() as connection:
        return {row[0]: row[-1] for row in connection.execute(chosen)}


def offers_issued(store: Store | DeclaredStore, since: datetime, until: datetime) -> dict[str, int]:
    """How many of each offer campaigns gave within a period."""
    table = MESSAGES.c
    chosen = sa.select(table.offer, sa.func.count(table.message_id))
    chosen = chosen.where(table.offer != "", *_within(since, until)).group_by(table.offer)
    with store.begin() as connection:
        return {row[0]: row[-1] for row in connection.execute(chosen)}


def campaigns_spent_cents(
    store: Store | DeclaredStore, since: datetime | None = None, until: datetime | None = None, *, campaign: str = ""
) -> float:
    """Expected cost of what campaigns and journeys, or one of them, sent within a period, cents."""
    table, plan = MESSAGES.c, ASSIGNMENTS.c
    joined = sa.outerjoin(
        MESSAGES, ASSIGNMENTS, sa.and_(table.campaign == plan.campaign, table.customer_id == plan.customer_id)
    )
    cost = sa.func.coalesce(table.expected_cost_cents, plan.expected_cost_cents)
    chosen = sa.select(sa.func.sum(cost)).select_from(joined).where(*_within(since, until))
    if campaign:
        chosen = chosen.where(table.campaign == campaign)
    with store.begin() as connection:
        return float(connection.scalar(chosen) or 0.0)


def _within(since: datetime | None, until: datetime | None) -> list[sa.ColumnElement[bool]]:
    sent_at = MESSAGES.c.sent_at
    conditions: list[sa.ColumnElement[bool]] = [MESSAGES.c.state.in_(MAY_HAVE_ARRIVED)]
    if since is not None:
        conditions.append(sent_at >= since.astimezone(UTC))
    if until is not None:
        conditions.append(sent_at < until.astimezone(UTC))
    return conditions
