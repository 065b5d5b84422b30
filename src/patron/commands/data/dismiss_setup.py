"""Take a step off the set-up list: it was done elsewhere, or the shop does without it."""

from datetime import datetime

from patron.schema.access.access_rights import Actor
from patron.storage.runs.job_tables import SETUP_STEPS
from patron.storage.shop import Shop
from patron.storage.store.store import upsert


def dismiss_setup_step(shop: Shop, step: str, actor: Actor, *, is_of_user: bool, now: datetime) -> None:
    """Show a step no more, to nobody or, where everybody has their own, to this user."""
    user_id = actor.user_id if is_of_user else ""
    row = {"step": step, "user_id": user_id, "dismissed_at": now, "dismissed_by": actor.name}
    with shop.store.begin() as connection:
        upsert(connection, SETUP_STEPS, [row], update=("dismissed_at", "dismissed_by"))
