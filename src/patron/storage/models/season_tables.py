"""Table of the store for calendars of the season that people expect."""

import sqlalchemy as sa

from patron.storage.store.store_metadata import METADATA, UTC_TIME

SEASON_CALENDARS = sa.Table(
    "season_calendars",
    METADATA,
    sa.Column("entered_at", UTC_TIME, primary_key=True),
    sa.Column("entered_by", sa.Text, nullable=False),
    sa.Column("spans", sa.JSON, nullable=False, comment="first and last week, factor and confidence of each"),
)
