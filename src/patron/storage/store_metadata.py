"""What every table of the store is declared in."""

import sqlalchemy as sa

METADATA = sa.MetaData()
UTC_TIME = sa.DateTime(timezone=True)
