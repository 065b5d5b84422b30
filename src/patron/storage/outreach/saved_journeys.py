"""Saved journeys: every version with its author, and the steps of their life; names are shared with campaigns."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from patron.schema.errors import BadJourney
from patron.storage.outreach.campaigns import SavedKind, SavedVersion
from patron.storage.outreach.journey_file import Journey
from patron.storage.store.store import Store


class SavedJourney(SavedVersion[Journey]):
    """The newest version of a journey, its state, and how it got there."""

    @property
    def journey(self) -> Journey:
        """The journey as it was saved."""
        return self.content

    @property
    def budget(self) -> float:
        """What it may cost in a month, in the shop's currency."""
        return self.journey.monthly_budget


JOURNEY = SavedKind("journey", SavedJourney, lambda content, where: Journey.of(content, where=where), BadJourney)


def journey_of(store: Store, name: str) -> SavedJourney:
    """The newest version of a journey. Raises NotFound."""
    return JOURNEY.saved_in(store, name)


def journeys(store: Store) -> tuple[SavedJourney, ...]:
    """The newest version of every journey, by name."""
    with store.begin() as connection:
        return JOURNEY.everything(connection)


def journey_version(connection: sa.Connection, name: str, version: int) -> Journey:
    """A version of a journey: customers on their way take the steps of the version they entered by. Raises NotFound."""
    return JOURNEY.version(connection, name, version)


def save_journey(connection: sa.Connection, journey: Journey, saved_by: str, at: datetime) -> SavedJourney:
    """Save a journey as a draft: a new version where anything of it changed, and nothing where nothing did.

    Raises BadJourney for one that is over or has the name of a campaign, SettingsError without an author.
    """
    return JOURNEY.save(connection, journey, journey.name, saved_by, at)


def take_journey_step(  # noqa: PLR0913, PLR0917 - what a step consists of
    connection: sa.Connection,
    name: str,
    step: str,
    version: int,
    by: str,
    at: datetime,
    details: Mapping[str, Any] | None = None,
) -> SavedJourney:
    """Take a step of a version of a journey, and return the journey after it. Raises as SavedKind.take_step does."""
    return JOURNEY.take_step(connection, name, step, version, by, at, details)
