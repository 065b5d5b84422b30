"""The currency of a workspace's data, fixed once there are events: amounts without one of their own count in it."""

import sqlalchemy as sa

from patron.schema.errors import SettingsError
from patron.schema.sentences import Sentence
from patron.storage.store.store import WORKSPACE, Store, upsert

CURRENCY_FIXED = Sentence("currency_fixed", "currency is {currency}, but the amounts of this workspace are in {fixed}")
WRITE_CURRENCY = Sentence(
    "write_currency",
    'Write currency = "{fixed}"; for another currency make a new workspace and import your files there.',
)

CURRENCY = "currency"


def require_same_currency(store: Store, currency: str) -> bool:
    """Whether the currency is fixed. Raises SettingsError when it is another one."""
    with store.begin() as connection:
        fixed = connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == CURRENCY))
    if fixed not in {None, currency}:
        raise SettingsError(
            CURRENCY_FIXED(currency=currency, fixed=fixed),
            where="patron.toml [shop]",
            todo=WRITE_CURRENCY(fixed=fixed),
        )
    return fixed is not None


def fix_currency(store: Store, currency: str) -> None:
    """Fix the currency of a workspace whose first events are stored."""
    with store.begin() as connection:
        upsert(connection, WORKSPACE, [{"key": CURRENCY, "value": currency}])
