"""The currency of a workspace's data, fixed once there are events: amounts without one of their own count in it."""

import sqlalchemy as sa

from patron.schema.errors import SettingsError
from patron.storage.store.store import WORKSPACE, Store, upsert

CURRENCY = "currency"


def require_same_currency(store: Store, currency: str) -> bool:
    """Whether the currency is fixed. Raises SettingsError when it is another one."""
    with store.begin() as connection:
        fixed = connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == CURRENCY))
    if fixed not in {None, currency}:
        raise SettingsError(
            f"currency is {currency}, but the amounts of this workspace are in {fixed}",
            where="patron.toml [shop]",
            todo=f'Write currency = "{fixed}"; for another currency make a new workspace and import your files there.',
        )
    return fixed is not None


def fix_currency(store: Store, currency: str) -> None:
    """Fix the currency of a workspace whose first events are stored."""
    with store.begin() as connection:
        upsert(connection, WORKSPACE, [{"key": CURRENCY, "value": currency}])
