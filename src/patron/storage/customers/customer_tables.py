"""Tables of the store for daily work: tags, notes, tasks, requests, proposals, acquisition costs, questions."""

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
PRIVACY_REQUESTS = sa.Table(
    "privacy_requests",
    METADATA,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, comment="access, erasure, rectification, objection, portability"),
    sa.Column("customer_id", sa.Text, comment="NULL where nobody is known by the identifier"),
    sa.Column("content", sa.LargeBinary, comment="encrypted: identifier and words; NULL once erased"),
    sa.Column("source", sa.Text, nullable=False, comment="how it arrived: email, phone, letter, chat, form"),
    sa.Column("state", sa.Text, nullable=False, comment="open, done, rejected"),
    sa.Column("received_at", UTC_TIME, nullable=False),
    sa.Column("due_at", UTC_TIME, nullable=False, comment="one month after it was received, or three"),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("closed_at", UTC_TIME),
    sa.Column("closed_by", sa.Text, nullable=False),
    sa.Column("result", sa.Text, nullable=False, comment="id of a certificate, purposes withdrawn, or a code of why"),
    sa.Column(
        "extension", sa.Text, nullable=False, server_default="", comment="why it is due two months later; or empty"
    ),
)
POLICY_PROPOSALS = sa.Table(
    "policy_proposals",
    METADATA,
    sa.Column("proposal_id", sa.Integer, primary_key=True, autoincrement=False, comment="from 1"),
    sa.Column("base_version", sa.Text, nullable=False, comment="policy that it changes"),
    sa.Column("content", sa.Text, nullable=False, comment="the whole policy.toml"),
    sa.Column("note", sa.Text, nullable=False, comment="why, as written"),
    sa.Column("state", sa.Text, nullable=False, comment="proposed, approved, rejected, withdrawn"),
    sa.Column("proposed_at", UTC_TIME, nullable=False),
    sa.Column("proposed_by", sa.Text, nullable=False),
    sa.Column("decided_at", UTC_TIME),
    sa.Column("decided_by", sa.Text, nullable=False),
    sa.Column("previous_content", sa.Text, nullable=False, comment="policy.toml before it was approved; empty before"),
    sa.Column("preview", sa.JSON, comment="what the next run would do with it; NULL before it was computed"),
)
IDEMPOTENCY_KEYS = sa.Table(
    "idempotency_keys",
    METADATA,
    sa.Column("actor", sa.Text, primary_key=True),
    sa.Column("idempotency_key", sa.Text, primary_key=True),
    sa.Column("request_hash", sa.Text, nullable=False, comment="of method, address and body"),
    sa.Column("status", sa.Integer, comment="NULL while the first request is being answered"),
    sa.Column("content", sa.LargeBinary, comment="encrypted answer"),
    sa.Column("created_at", UTC_TIME, nullable=False),
)
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
ACQUISITION_COSTS = sa.Table(
    "acquisition_costs",
    METADATA,
    sa.Column("channel", sa.Text, primary_key=True, comment="channel of a customer's first event"),
    sa.Column("month", sa.Text, primary_key=True, comment="YYYY-MM"),
    sa.Column("cost_cents", sa.BigInteger, nullable=False, comment="spent on winning customers, cents"),
    sa.Column("entered_at", UTC_TIME, nullable=False),
    sa.Column("entered_by", sa.Text, nullable=False),
)
