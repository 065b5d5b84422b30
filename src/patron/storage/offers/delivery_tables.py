"""Table of the store for the delivery of each run's offers."""

import sqlalchemy as sa

from patron.storage.store.store_metadata import METADATA, UTC_TIME

DELIVERIES = sa.Table(
    "deliveries",
    METADATA,
    sa.Column("run_id", sa.Text, primary_key=True, comment="run whose offers it is about"),
    sa.Column("state", sa.Text, nullable=False, comment="reserved, confirmed, expired, withdrawn, held, campaign"),
    sa.Column("reserved_until", UTC_TIME, comment="when a reservation expires; NULL where the run kept none"),
    sa.Column("changed_at", UTC_TIME, comment="when it was confirmed, expired or withdrawn; NULL while reserved"),
    sa.Column("changed_by", sa.Text, nullable=False, comment="who confirmed or withdrew, as written; else empty"),
    sa.Column(
        "evidence", sa.Text, nullable=False, comment="of a confirmation: policy, person, receipt, taken; or empty"
    ),
    sa.Column("sent_at", UTC_TIME, comment="when confirmed offers were sent; NULL where that is not known"),
    sa.Column("reason", sa.Text, nullable=False, comment="why it was withdrawn, as written; empty without one"),
    sa.Column("campaign", sa.Text, nullable=False, comment="campaign that sends them; empty without one"),
)
