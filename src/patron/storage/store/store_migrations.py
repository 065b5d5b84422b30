"""The migrations of the operational store: which there are, and how they are carried out."""

from functools import cache
from importlib import resources

import sqlalchemy as sa

VERSION_TABLE = sa.table("alembic_version", sa.column("version_num"))
"""Where Alembic notes the revision of a store."""


@cache
def revisions() -> tuple[str, ...]:
    """Every revision that this version of Patron knows, the newest last: a migration's file begins with it."""
    files = (resources.files("patron.storage") / "migrations" / "versions").iterdir()
    return tuple(sorted(file.name[1:].partition("_")[0] for file in files if file.name.startswith("v")))


def revision_of(connection: sa.Connection) -> str | None:
    """Revision of a store; None for one without tables."""
    if not sa.inspect(connection).has_table(VERSION_TABLE.name):
        return None
    return connection.scalar(sa.select(VERSION_TABLE.c.version_num))


def migrate(connection: sa.Connection) -> None:
    """Bring the schema to the newest revision, in the transaction of a connection."""
    # why here: most processes find a store that is up to date, and these take as long to import as all else of a store
    import alembic.command  # noqa: PLC0415
    import alembic.config  # noqa: PLC0415

    config = alembic.config.Config()
    config.set_main_option("script_location", str(resources.files("patron.storage") / "migrations"))
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, "head")
