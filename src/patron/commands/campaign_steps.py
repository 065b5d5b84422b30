"""Steps that people take with a campaign: approve, pause, resume, withdraw."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.commands.actors import is_same_actor
from patron.govern import audit_log
from patron.schema.errors import BadCampaign
from patron.storage.campaigns import SavedCampaign, campaign_of, person, take_step
from patron.storage.shop import Shop

MOST_REASON = 300


def approve(shop: Shop, name: str, *, by: str, now: datetime, version: int | None = None) -> SavedCampaign:
    """Approve the plan of the newest version, so that it is sent when its time comes; `version` says which that is.

    Raises BadCampaign where another version was saved since, for its author or the API key that saved it, unless the
    budget is below the policy's `approval_free_below`, for a window that is over, and in a wrong state.
    """
    saved = campaign_of(shop.store, name)
    require_newest(saved, version)
    if is_same_actor(person(by), saved.saved_by) and saved.campaign.budget >= shop.policy.campaigns.approval_free_below:
        what = f"{saved.saved_by} wrote version {saved.version} of {name!r} and cannot approve it"
        todo = 'Ask somebody else, who names themselves with --as "NAME"; [campaigns] of policy.toml can waive it.'
        raise BadCampaign(what, where="--as", todo=todo)
    if saved.campaign.end_at(shop_zone(shop)) <= now:
        todo = "Save it with a later start and end, then plan it again."
        raise BadCampaign(f"{name!r} was over at {saved.campaign.end}", where="end", todo=todo)
    plan = saved.last("planned")
    details = {"policy_version": plan.details.get("policy_version", "")} if plan else {}
    return _take(shop, saved, "approved", by=by, now=now, details=details)


def require_newest(saved: SavedCampaign, version: int | None) -> None:
    """Raise BadCampaign where a version is not the newest one; None stands for that."""
    if version is not None and version != saved.version:
        what = f"version {version} of {saved.name!r} is not the newest: {saved.saved_by} saved version {saved.version}"
        raise BadCampaign(what, where="version", todo="Look at the newest with `patron campaign show`, then repeat.")


def pause(shop: Shop, name: str, *, by: str, now: datetime, reason: str = "") -> SavedCampaign:
    """Stop sending for now; what is being handed over is finished. Raises BadCampaign, NotFound."""
    return _take(shop, campaign_of(shop.store, name), "paused", by=by, now=now, details=_reason(reason))


def resume(shop: Shop, name: str, *, by: str, now: datetime) -> SavedCampaign:
    """Go on where a paused campaign was stopped. Raises BadCampaign, NotFound."""
    return _take(shop, campaign_of(shop.store, name), "resumed", by=by, now=now, details={})


def withdraw(shop: Shop, name: str, *, by: str, now: datetime, reason: str = "") -> SavedCampaign:
    """Stop a campaign for good; what was sent stays on record. Raises BadCampaign, NotFound."""
    return _take(shop, campaign_of(shop.store, name), "withdrawn", by=by, now=now, details=_reason(reason))


def shop_zone(shop: Shop) -> ZoneInfo:
    """The shop's time zone."""
    return ZoneInfo(shop.settings.shop.time_zone)


def _take(
    shop: Shop, saved: SavedCampaign, step: str, *, by: str, now: datetime, details: Mapping[str, Any]
) -> SavedCampaign:
    with shop.store.begin() as connection:
        after = take_step(connection, saved.name, step, saved.version, by, now, details)
        _record(shop, connection, after, f"campaign {step}", now)
    return after


def _record(shop: Shop, connection: sa.Connection, saved: SavedCampaign, action: str, now: datetime) -> None:
    audit_log.append(shop, connection, action, {"campaign": saved.name, "version": saved.version}, at=now)


def _reason(text: str) -> dict[str, str]:
    """A line that says why. Raises BadCampaign for one that is too long or not printable."""
    line = text.strip()
    if line and (not line.isprintable() or len(line) > MOST_REASON):
        what = f"needs one line of at most {MOST_REASON} characters"
        raise BadCampaign(what, where="--reason", todo="Write one line, without personal data of customers.")
    return {"reason": line} if line else {}
