"""Whether journeys have something to do, now or later."""

import sqlalchemy as sa

from patron.schema.outreach.journey_states import EntryState
from patron.storage.outreach.campaign_tables import JOURNEY_ENTRIES
from patron.storage.outreach.campaigns import APPROVED, ENDED, MEASURED, WITHDRAWN
from patron.storage.outreach.saved_journeys import SavedJourney, journeys
from patron.storage.store.store import Store

IS_OVER = (WITHDRAWN, ENDED, MEASURED)


def is_under_way(saved: SavedJourney) -> bool:
    """Whether a journey is approved, or has started and is not over; a paused one is under way."""
    return saved.state == APPROVED or (saved.last("started") is not None and saved.state not in IS_OVER)


def has_journey_work(store: Store) -> bool:
    """Whether a journey is under way, or somebody is still on theirs."""
    if any(is_under_way(one) for one in journeys(store)):
        return True
    active = sa.select(sa.exists().where(JOURNEY_ENTRIES.c.state == EntryState.ACTIVE))
    with store.begin() as connection:
        return bool(connection.scalar(active))
