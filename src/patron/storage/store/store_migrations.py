"""The migrations of the operational store: where they are, and which is the newest."""

from functools import cache
from importlib import resources

import alembic.config
import alembic.script


def migrations_of(url: str) -> alembic.config.Config:
    """Configuration of the migrations of the store at a URL."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(resources.files("patron.storage") / "migrations"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


@cache
def newest_revision() -> str | None:
    """The revision of this version of Patron."""
    return alembic.script.ScriptDirectory.from_config(migrations_of("sqlite://")).get_current_head()
