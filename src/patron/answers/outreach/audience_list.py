"""Audiences as people look at them: the list, and one of them."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from patron.storage.models.model_decisions import utc
from patron.storage.outreach.audience_file import AUDIENCE, Audience
from patron.storage.outreach.audience_members import ADDED, ADDING, REMOVING, count_members, last_change
from patron.storage.outreach.versioned_drafts import WITHDRAWN, SavedVersion
from patron.storage.shop import Shop


@dataclass(frozen=True)
class AudienceLine:
    """One audience, and what its ad platform has."""

    name: str
    version: int
    saved_by: str
    is_withdrawn: bool
    segment: str
    exclude: tuple[str, ...]
    identifiers: tuple[str, ...]
    destination: str
    """file, or the address."""
    added_count: int
    """Members that the platform has."""
    adding_count: int
    """Members whose addition was not confirmed yet."""
    removing_count: int
    """Members whose removal was not confirmed yet, those included who were forgotten."""
    changed_at: datetime | None
    """When a member was last added; None without any."""


def list_audiences(shop: Shop) -> tuple[AudienceLine, ...]:
    """Every audience in its newest version, by name."""
    with shop.store.begin() as connection:
        return tuple(_line(connection, one) for one in AUDIENCE.all_saved(connection))


def show_audience(shop: Shop, name: str) -> AudienceLine:
    """One audience. Raises NotFound."""
    with shop.store.begin() as connection:
        return _line(connection, AUDIENCE.saved(connection, name))


def _line(connection: sa.Connection, saved: SavedVersion[Audience]) -> AudienceLine:
    counts, changed_at = count_members(connection, saved.name), last_change(connection, saved.name)
    audience = saved.content
    return AudienceLine(
        name=saved.name,
        version=saved.version,
        saved_by=saved.saved_by,
        is_withdrawn=saved.state == WITHDRAWN,
        segment=audience.segment,
        exclude=audience.exclude,
        identifiers=audience.identifiers,
        destination=audience.destination.url if audience.destination.kind == "http" else "file",
        added_count=counts.get(ADDED, 0),
        adding_count=counts.get(ADDING, 0),
        removing_count=counts.get(REMOVING, 0),
        changed_at=utc(changed_at) if changed_at else None,
    )
