"""Tables of the store for questions: saved ones in versions, and those on the dashboard."""

import sqlalchemy as sa

from patron.storage.store.store_metadata import METADATA, UTC_TIME

SAVED_QUESTIONS = sa.Table(
    "saved_questions",
    METADATA,
    sa.Column("question_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False, comment="from 1; the highest is current"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("definition", sa.JSON, nullable=False, comment="the guided question, or its SQL"),
    sa.Column("owner", sa.Text, nullable=False, comment="who saved its first version"),
    sa.Column("saved_at", UTC_TIME, nullable=False),
    sa.Column("saved_by", sa.Text, nullable=False),
)
QUESTION_PINS = sa.Table(
    "question_pins",
    METADATA,
    sa.Column("question_id", sa.Text, primary_key=True, comment="a saved question, or a ready-made one"),
    sa.Column("is_pinned", sa.Boolean, nullable=False, comment="whether it is on the dashboard"),
    sa.Column("changed_at", UTC_TIME, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
)
