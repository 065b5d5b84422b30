"""Table of the store for what was spent on winning customers, by channel and month."""

import sqlalchemy as sa

from patron.storage.store.store_metadata import METADATA, UTC_TIME

ACQUISITION_COSTS = sa.Table(
    "acquisition_costs",
    METADATA,
    sa.Column("channel", sa.Text, primary_key=True, comment="channel of a customer's first event"),
    sa.Column("month", sa.Text, primary_key=True, comment="YYYY-MM"),
    sa.Column("cost_cents", sa.BigInteger, nullable=False, comment="spent on winning customers, cents"),
    sa.Column("entered_at", UTC_TIME, nullable=False),
    sa.Column("entered_by", sa.Text, nullable=False),
)
