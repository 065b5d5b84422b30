"""Messages of a campaign or a journey, counted by state and by receipt."""

import sqlalchemy as sa

from patron.storage.outreach.campaign_tables import MESSAGES, RECEIPTS
from patron.storage.store.store import Store


def message_counts(store: Store, name: str) -> dict[str, int]:
    """Messages of a campaign or a journey by state."""
    table = MESSAGES.c
    counted = sa.select(table.state, sa.func.count(table.message_id)).where(table.campaign == name)
    with store.begin() as connection:
        rows = connection.execute(counted.group_by(table.state).order_by(table.state)).all()
    return {row[0]: row[1] for row in rows}


def receipt_counts(store: Store, name: str) -> dict[str, int]:
    """Messages of a campaign or a journey by what became of them."""
    receipt, message = RECEIPTS.c, MESSAGES.c
    counted = sa.select(receipt.kind, sa.func.count(sa.distinct(receipt.message_id)))
    joined = counted.join(MESSAGES, message.message_id == receipt.message_id).where(message.campaign == name)
    with store.begin() as connection:
        rows = connection.execute(joined.group_by(receipt.kind).order_by(receipt.kind)).all()
    return {row[0]: row[1] for row in rows}
