"""Names that contact cards did not have: `doctor` asks for `patron identity reindex` until they are written anew."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Note where cards are of before."""
    connection = op.get_bind()
    if connection.scalar(sa.text("select 1 from contact_cards limit 1")):
        connection.execute(sa.text("insert into workspace (key, value) values ('outdated_contact_cards', '1')"))
