"""Tables of the store for daily work with customers: tags, notes, tasks, owners, snoozes, and cards to find them by."""

import sqlalchemy as sa

from patron.storage.store.store_metadata import METADATA, UTC_TIME

CUSTOMER_TAGS = sa.Table(
    "customer_tags",
    METADATA,
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("tag", sa.Text, primary_key=True, index=True),
    sa.Column("added_at", UTC_TIME, nullable=False),
    sa.Column("added_by", sa.Text, nullable=False),
)
CUSTOMER_NOTES = sa.Table(
    "customer_notes",
    METADATA,
    sa.Column("note_id", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, nullable=False, index=True),
    sa.Column("content", sa.LargeBinary, nullable=False, comment="encrypted text"),
    sa.Column("written_at", UTC_TIME, nullable=False),
    sa.Column("written_by", sa.Text, nullable=False),
)
TASKS = sa.Table(
    "customer_tasks",
    METADATA,
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, nullable=False, index=True),
    sa.Column("playbook", sa.Text, nullable=False, comment="what to do: call, write, apologise, offer, check, other"),
    sa.Column("content", sa.LargeBinary, nullable=False, comment="encrypted instructions, and what became of it"),
    sa.Column("owner", sa.Text, nullable=False, index=True, comment="user_id; empty for nobody yet"),
    sa.Column("state", sa.Text, nullable=False, comment="open, done or dropped"),
    sa.Column(
        "outcome", sa.Text, nullable=False, comment="reached, not_reached, ordered, refused ...; empty while open"
    ),
    sa.Column("value_at_risk_cents", sa.BigInteger, comment="when it was created"),
    sa.Column("is_holdout", sa.Boolean, nullable=False, comment="kept from staff, to measure the effect of tasks"),
    sa.Column("due_at", UTC_TIME),
    sa.Column("created_at", UTC_TIME, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("closed_at", UTC_TIME),
    sa.Column("closed_by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default="", comment="strongest reason for leaving, a code"),
    sa.Column("batch_id", sa.Text, nullable=False, server_default="", comment="bulk action; empty if by hand"),
    sa.Column("holdout_share", sa.Float, comment="probability of the holdout when it was drawn; NULL if by hand"),
    sa.Column("assigned_at", UTC_TIME, comment="when it was drawn; an arm is kept until measured_until"),
    sa.Column("measured_until", UTC_TIME, comment="end of the window in which the effect is counted"),
)
"""Tasks, and customers who were held out of a bulk action: they have a row that nobody is shown."""
CUSTOMER_OWNERS = sa.Table(
    "customer_owners",
    METADATA,
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False, index=True, comment="user_id of who looks after the customer"),
    sa.Column("assigned_at", UTC_TIME, nullable=False),
    sa.Column("assigned_by", sa.Text, nullable=False),
)
SNOOZES = sa.Table(
    "watch_list_snoozes",
    METADATA,
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("until", UTC_TIME, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, comment="code: contacted, known, waiting, other"),
    sa.Column("snoozed_at", UTC_TIME, nullable=False),
    sa.Column("snoozed_by", sa.Text, nullable=False),
)
CONTACT_CARDS = sa.Table(
    "contact_cards",
    METADATA,
    sa.Column("card_id", sa.BigInteger, primary_key=True, autoincrement=False, comment="beginning of the token"),
    sa.Column("token", sa.Text, nullable=False, comment="user token whose key encrypts the card"),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False, comment="latest name, e-mail address and telephone number"),
)
NAME_WORDS = sa.Table(
    "name_words",
    METADATA,
    sa.Column("word", sa.BigInteger, primary_key=True, autoincrement=False, comment="code of a part of a name"),
    sa.Column("card_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""The blind index of names: whose name has a word, or begins with some letters, to who knows the key.

It has no index by card: that would double what an import writes, and only an erasure deletes by card.
"""
