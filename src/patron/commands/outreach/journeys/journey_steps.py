"""Steps that people take with a journey: approve, pause, resume, withdraw; as those of a campaign."""

from datetime import datetime

from patron.commands.outreach.campaigns.campaign_steps import approve_version, take_version_step
from patron.storage.outreach.saved_journeys import JOURNEY, SavedJourney
from patron.storage.shop import Shop


def approve_journey(shop: Shop, name: str, *, by: str, now: datetime, version: int | None = None) -> SavedJourney:
    """Approve the plan of the newest version, so that customers enter it. Raises as approve_version does."""
    return approve_version(shop, JOURNEY, name, by=by, now=now, version=version)


def pause_journey(shop: Shop, name: str, *, by: str, now: datetime, reason: str = "") -> SavedJourney:
    """Stop it for now: nobody enters, and nobody on their way is sent anything. Raises BadJourney, NotFound."""
    return take_version_step(shop, JOURNEY, name, "paused", by=by, now=now, reason=reason)


def resume_journey(shop: Shop, name: str, *, by: str, now: datetime) -> SavedJourney:
    """Go on with a paused one. Raises BadJourney, NotFound."""
    return take_version_step(shop, JOURNEY, name, "resumed", by=by, now=now)


def withdraw_journey(shop: Shop, name: str, *, by: str, now: datetime, reason: str = "") -> SavedJourney:
    """Stop it for good; what was sent stays on record. Raises BadJourney, NotFound."""
    return take_version_step(shop, JOURNEY, name, "withdrawn", by=by, now=now, reason=reason)
