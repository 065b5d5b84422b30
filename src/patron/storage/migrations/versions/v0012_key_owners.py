"""Keys belong to people, and may be restricted to a segment."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
MAKER = re.compile(r"\(user ([0-9a-f]{12})\)$")


def upgrade() -> None:
    """Make room for both; who made a key in the console is its owner, a write key belongs to nobody."""
    op.add_column("api_keys", sa.Column("user_id", sa.Text(), server_default="", nullable=False))
    op.add_column("api_keys", sa.Column("segment", sa.Text(), server_default="", nullable=False))
    connection = op.get_bind()
    keys = sa.table("api_keys", *(sa.column(one) for one in ("key_id", "kind", "created_by", "user_id")))
    for row in connection.execute(sa.select(keys.c.key_id, keys.c.created_by).where(keys.c.kind != "write")).all():
        if maker := MAKER.search(row.created_by):
            connection.execute(sa.update(keys).where(keys.c.key_id == row.key_id).values(user_id=maker[1]))
