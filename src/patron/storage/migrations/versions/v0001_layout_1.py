"""The store of workspace layout 1."""

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
        sa.Column("arm", sa.Text(), nullable=False, comment="assigned once: a merge of identities cannot change it"),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("experiment", "customer_id"),
    )
    op.create_table(
        "dead_letters",
        sa.Column(
            "dead_letter_id",
            sa.Text(),
            nullable=False,
            comment="hash of source, file and row: a repeat changes nothing",
        ),
        sa.Column("import_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="reason code"),
        sa.Column("message", sa.Text(), nullable=False, comment="explanation without personal values"),
        sa.Column("payload", sa.LargeBinary(), nullable=False, comment="the row, encrypted"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dead_letter_id"),
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
        sa.Column("rejected_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("import_id"),
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False, comment="cutoff of the run"),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False, comment="how long the run took"),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column(
            "table_versions", sa.JSON(), nullable=False, comment="Delta version of each table: what readers read"
        ),
        sa.Column(
            "summary", sa.JSON(), nullable=False, comment="seconds of each step, and questions without a forecast"
        ),
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
        sa.Column("key", sa.Text(), nullable=False, comment="workspace_id, layout_version, master_key_check ..."),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_hash", sa.Text(), nullable=False, comment="SHA-256 of the key, which itself is not stored"),
        sa.Column("key_id", sa.Text(), nullable=False, comment="public name of the key"),
        sa.Column("source", sa.Text(), nullable=False, comment="source of the events sent with it"),
        sa.Column("kind", sa.Text(), nullable=False, comment="write, secret or read"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key_hash"),
        sa.UniqueConstraint("key_id"),
    )
    op.create_table(
        "contacts",
        sa.Column("contact", sa.Text(), nullable=False, comment="token of an e-mail address or telephone number"),
        sa.Column("token", sa.Text(), nullable=False, comment="token of the user or visitor who has it"),
        sa.PrimaryKeyConstraint("contact", "token"),
    )
    op.create_index(op.f("ix_contacts_token"), "contacts", ["token"], unique=False)
    op.create_table(
        "forgotten",
        sa.Column("token", sa.Text(), nullable=False, comment="events of its owner are rejected"),
        sa.Column("forgotten_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token"),
    )
    op.create_table(
        "erasures",
        sa.Column("certificate_id", sa.Text(), nullable=False),
        sa.Column("tokens", sa.JSON(), nullable=False, comment="tokens of an unfinished erasure"),
        sa.Column("counts", sa.JSON(), nullable=False, comment="erased so far, by place"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("certificate_id"),
    )
    op.create_table(
        "audit",
        sa.Column("entry", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Text(), nullable=False, comment="UTC, ISO 8601"),
        sa.Column("action", sa.Text(), nullable=False, comment="action code"),
        sa.Column("details", sa.Text(), nullable=False, comment="JSON without personal values"),
        sa.Column("previous", sa.Text(), nullable=False, comment="hash of the entry before"),
        sa.Column("hash", sa.Text(), nullable=False, comment="SHA-256 of this entry and of the hash before"),
        sa.PrimaryKeyConstraint("entry"),
    )
    op.create_table(
        "profiles",
        sa.Column("generation", sa.Integer(), nullable=False, comment="which rebuild of the profiles; one is in use"),
        sa.Column("token", sa.Text(), nullable=False, comment="user or device token"),
        sa.Column("own_id", sa.Text(), nullable=False, comment="customer of the token alone, without any link"),
        sa.Column(
            "owner",
            sa.Text(),
            nullable=True,
            comment="user token that a device appeared with, if it is only one",
        ),
        sa.Column(
            "content", sa.LargeBinary(), nullable=False, comment="sums, times and the newest events, as MessagePack"
        ),
        sa.PrimaryKeyConstraint("generation", "token"),
    )
    op.create_index("ix_profiles_own_id", "profiles", ["own_id"])
    op.create_index("ix_profiles_owner", "profiles", ["owner"])
    op.create_table(
        "consent_ledger",
        sa.Column("entry", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event", sa.Text(), nullable=False, comment="hash of the source and id of the consent event"),
        sa.Column("token", sa.Text(), nullable=False, comment="user or device that it is about"),
        sa.Column("purpose", sa.Text(), nullable=False, comment="as received, in lower case"),
        sa.Column("is_granted", sa.Boolean(), nullable=False, comment="false when it was withdrawn"),
        sa.Column("basis", sa.Text(), nullable=False, comment="consent, contract, legitimate_interest ..."),
        sa.Column("wording", sa.Text(), nullable=True, comment="hash of the exact words"),
        sa.Column("wording_version", sa.Text(), nullable=True),
        sa.Column("policy_version", sa.Text(), nullable=True, comment="version of the privacy policy that was shown"),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.Text(), nullable=False, comment="when the customer decided, UTC, ISO 8601"),
        sa.Column("known_at", sa.Text(), nullable=False, comment="when Patron could know it"),
        sa.Column("previous", sa.Text(), nullable=False, comment="hash of the entry before"),
        sa.Column("hash", sa.Text(), nullable=False, comment="SHA-256 of this entry and of the hash before"),
        sa.PrimaryKeyConstraint("entry"),
    )
    op.create_index("ix_consent_ledger_event", "consent_ledger", ["event", "purpose"], unique=True)
    op.create_index("ix_consent_ledger_token", "consent_ledger", ["token", "purpose"])
    op.create_table(
        "consent_wordings",
        sa.Column("wording", sa.Text(), nullable=False, comment="SHA-256 of the words"),
        sa.Column("words", sa.Text(), nullable=False, comment="what customers were shown"),
        sa.PrimaryKeyConstraint("wording"),
    )
