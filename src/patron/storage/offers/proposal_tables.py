"""Table of the store for proposed changes of the policy."""

import sqlalchemy as sa

from patron.storage.store.store_metadata import METADATA, UTC_TIME

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
