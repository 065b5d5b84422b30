"""The store of Patron 0.1."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the operational tables."""
    op.create_table(
        "assignments",
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False, comment="stored once: a merge of identities cannot flip it"),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("experiment", "customer_id"),
    )
    op.create_table(
        "dead_letters",
        sa.Column(
            "dead_id", sa.Text(), nullable=False, comment="hash of source, file and row: a repeat changes nothing"
        ),
        sa.Column("import_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="reason code"),
        sa.Column("message", sa.Text(), nullable=False, comment="what is wrong, without the personal value"),
        sa.Column("payload", sa.LargeBinary(), nullable=False, comment="the row, encrypted"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dead_id"),
    )
    op.create_index(op.f("ix_dead_letters_import_id"), "dead_letters", ["import_id"], unique=False)
    op.create_table(
        "imports",
        sa.Column("import_id", sa.Text(), nullable=False),
        sa.Column("mapping", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_count", sa.Integer(), nullable=False),
        sa.Column("stored_count", sa.Integer(), nullable=False),
        sa.Column("duplicate_count", sa.Integer(), nullable=False),
        sa.Column("dead_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("import_id"),
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False, comment="the moment of the run"),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False, comment="how long the run took"),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column(
            "table_versions", sa.JSON(), nullable=False, comment="Delta version of each table: what readers read"
        ),
        sa.Column("summary", sa.JSON(), nullable=False, comment="what each stage said it did"),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_table(
        "vault_texts",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False, comment="whose key encrypts the text"),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("source", "event_id", "field"),
    )
    op.create_index(op.f("ix_vault_texts_token"), "vault_texts", ["token"], unique=False)
    op.create_table(
        "vault_tokens",
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="user_id, anonymous_id ..."),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False, comment="the identifier under the token's key"),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False, comment="the token's key under the master key"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token"),
    )
    op.create_table(
        "workspace",
        sa.Column("key", sa.Text(), nullable=False, comment="workspace_id, master_key_check ..."),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
