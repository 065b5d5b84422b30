"""The store of workspace layout 2."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Bring the store of layout 1 to layout 2."""
    add_hashes_of_lake_and_models()


def add_hashes_of_lake_and_models() -> None:
    """Create the tables that hold the hashes of the lake's files and commits, and of models."""
    op.create_table(
        "lake_files",
        sa.Column("lake_id", sa.Text(), nullable=False, comment="empty, or which of several that share a store"),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False, comment="within the table's folder"),
        sa.Column("sha256", sa.Text(), nullable=False, comment="written before a commit names the file"),
        sa.Column("byte_count", sa.BigInteger(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lake_id", "table_name", "path"),
    )
    op.create_table(
        "lake_commits",
        sa.Column("lake_id", sa.Text(), nullable=False, comment="empty, or which of several that share a store"),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_sha256", sa.Text(), nullable=False, comment="of the log file, written after the commit"),
        sa.Column("checkpoint_sha256", sa.Text(), comment="of the checkpoint of this version, where there is one"),
        sa.PrimaryKeyConstraint("lake_id", "table_name", "version"),
    )
    op.create_table(
        "model_manifests",
        sa.Column("model_version", sa.Text(), nullable=False, comment="folder under models/"),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of the manifest, which holds those of the other files"),
        sa.PrimaryKeyConstraint("model_version", "sha256"),
    )
