"""Tables of the store for segments, campaigns, the messages they send, and who must not be sent any."""

import sqlalchemy as sa

from patron.storage.store.store_metadata import METADATA, UTC_TIME

SEGMENT_DEFINITIONS = sa.Table(
    "segment_definitions",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False, comment="from 1; the newest one counts"),
    sa.Column("rule", sa.Text, nullable=False, comment="rule tree, JSON"),
    sa.Column("folder", sa.Text, nullable=False, comment="as written; empty without one"),
    sa.Column("saved_at", UTC_TIME, nullable=False),
    sa.Column("saved_by", sa.Text, nullable=False, comment="as written"),
    sa.Column("note", sa.Text, nullable=False, comment="why it was changed, as written; empty without a note"),
)
CAMPAIGNS = sa.Table(
    "campaigns",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False, comment="from 1; the newest one counts"),
    sa.Column("content", sa.Text, nullable=False, comment="the campaign file with the texts of its templates, JSON"),
    sa.Column("saved_at", UTC_TIME, nullable=False),
    sa.Column("saved_by", sa.Text, nullable=False, comment="author of this version, as written"),
    sa.Column(
        "kind", sa.Text, nullable=False, server_default="campaign", comment="campaign, or journey: names are of either"
    ),
)
CAMPAIGN_STEPS = sa.Table(
    "campaign_steps",
    METADATA,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False, comment="from 1, in order"),
    sa.Column(
        "step",
        sa.Text,
        nullable=False,
        comment="saved, planned, reopened, approved, reapproved, pinned, started, paused, resumed, withdrawn, ended or"
        " measured",
    ),
    sa.Column("version", sa.Integer, nullable=False, comment="version of the campaign"),
    sa.Column("taken_at", UTC_TIME, nullable=False),
    sa.Column("taken_by", sa.Text, nullable=False, comment="as written"),
    sa.Column("details", sa.Text, nullable=False, comment="what the step found, such as the plan's totals, JSON"),
)
ASSIGNMENTS = sa.Table(
    "assignments",
    METADATA,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("is_holdout", sa.Boolean, nullable=False, comment="assigned once: no message of the campaign reaches it"),
    sa.Column("assigned_at", UTC_TIME, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, comment="version of the campaign that the plan is of"),
    sa.Column("is_planned", sa.Boolean, nullable=False, comment="whether the plan writes to the customer"),
    sa.Column("offer", sa.Text, nullable=False, comment="id of the offer; empty for the message alone"),
    sa.Column("send_at", UTC_TIME, comment="when the plan sends it; NULL where it does not"),
    sa.Column(
        "expected_response", sa.Float, comment="probability of an order in the campaign's window with it, 0 to 1"
    ),
    sa.Column("expected_net_cents", sa.Float, comment="expected effect less expected cost, cents"),
    sa.Column("expected_cost_cents", sa.Float, comment="cents"),
    sa.Index("ix_assignments_customer", "customer_id"),
    sa.Index("ix_assignments_send_at", "campaign", "send_at"),
)
MESSAGES = sa.Table(
    "messages",
    METADATA,
    sa.Column("message_id", sa.Text, primary_key=True, comment="hash of what sends it, whom and how: sent once"),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        comment="waiting, sending, sent, unknown, failed, skipped; unknown: its answer was lost, it is not sent again",
    ),
    sa.Column("reason", sa.Text, nullable=False, comment="code of why it is not sent; empty where it is"),
    sa.Column("token", sa.Text, comment="user token whose key seals what was sent"),
    sa.Column("contact", sa.Text, index=True, comment="token of the address: a blind index"),
    sa.Column("offer", sa.Text, nullable=False, comment="id of the offer; empty without one"),
    sa.Column("consent_basis", sa.Text, nullable=False, comment="basis on which it may be sent, or not"),
    sa.Column("consent_event", sa.Text, comment="hash of the consent event that it relies on; NULL without one"),
    sa.Column("attempt_count", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", UTC_TIME, comment="of a waiting message: not before"),
    sa.Column("written_at", UTC_TIME, nullable=False),
    sa.Column("sent_at", UTC_TIME, comment="when the channel took it; of an unknown one, when it was handed over"),
    sa.Column("expected_cost_cents", sa.Float, comment="cents; NULL where the assignment says it"),
    sa.Index("ix_messages_campaign", "campaign", "state"),
    sa.Index("ix_messages_customer", "customer_id", "sent_at"),
)
RECEIPTS = sa.Table(
    "message_receipts",
    METADATA,
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column(
        "kind",
        sa.Text,
        primary_key=True,
        comment="delivered, deferred, bounced, rejected, complained, opened, clicked, unsubscribed",
    ),
    sa.Column("occurred_at", UTC_TIME, primary_key=True),
    sa.Column("is_permanent", sa.Boolean, nullable=False, comment="of a bounce: whether the address does not exist"),
    sa.Column("detail", sa.Text, nullable=False, comment="status code; no personal data"),
)
SUPPRESSIONS = sa.Table(
    "suppressions",
    METADATA,
    sa.Column("contact", sa.Text, primary_key=True, comment="token of the address: a blind index, kept after erasure"),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("topic", sa.Text, primary_key=True, comment="empty: all topics"),
    sa.Column("reason", sa.Text, nullable=False, comment="unsubscribed, hard_bounce, soft_bounces, complaint"),
    sa.Column("suppressed_at", UTC_TIME, nullable=False),
)
JOURNEY_ENTRIES = sa.Table(
    "journey_entries",
    METADATA,
    sa.Column("entry_id", sa.Text, primary_key=True, comment="hash of journey, customer and what made them enter"),
    sa.Column("journey", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, comment="version of the journey whose steps are taken"),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("token", sa.Text, comment="user token of the event, or of the customer; NULL once forgotten"),
    sa.Column("is_holdout", sa.Boolean, nullable=False, comment="takes every step, and is sent nothing"),
    sa.Column("entered_at", UTC_TIME, nullable=False, comment="when what made them enter happened"),
    sa.Column("step", sa.Integer, nullable=False, comment="place of the step that is next, from 0"),
    sa.Column("reached_at", UTC_TIME, nullable=False, comment="when that step was reached"),
    sa.Column("due_at", UTC_TIME, nullable=False, comment="when it is taken, its wait is over, or it is tried again"),
    sa.Column("state", sa.Text, nullable=False, comment="active, finished, left"),
    sa.Column("reason", sa.Text, nullable=False, comment="code of why they left; empty unless they did"),
    sa.Column("product_id", sa.Text, comment="product that it is about, for its messages; NULL without one"),
    sa.Column("ended_at", UTC_TIME, comment="NULL while active"),
    sa.Index("ix_journey_entries_customer", "customer_id", "journey"),
    sa.Index("ix_journey_entries_due", "state", "due_at"),
)
AUDIENCE_MEMBERS = sa.Table(
    "audience_members",
    METADATA,
    sa.Column("audience", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("identifiers", sa.Text, nullable=False, comment="hashed identifiers that the platform has, JSON"),
    sa.Column("state", sa.Text, nullable=False, comment="adding, added, removing: until the platform has answered"),
    sa.Column("changed_at", UTC_TIME, nullable=False),
)
