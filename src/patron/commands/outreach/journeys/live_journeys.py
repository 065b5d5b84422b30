"""Journeys that are under way, and the steps of their life that time takes: they start, and they end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.engage.journeys.journey_entries import active_entries, write_entries
from patron.engage.journeys.journey_steps import leave
from patron.engage.journeys.journey_triggers import OpenJourney
from patron.schema.outreach.journey_states import OVER, WITHDRAWN
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.outreach.journey_file import JOURNEY, Journey
from patron.storage.outreach.versioned_drafts import APPROVED, IS_OVER, PAUSED, RUNNING, SavedVersion
from patron.storage.outreach.versioned_drafts import WITHDRAWN as IS_WITHDRAWN
from patron.storage.shop import Shop

SENDER = "patron"
"""Who starts and ends a journey."""
TOGETHER = 5_000
CAN_END = (APPROVED, RUNNING, PAUSED)


@dataclass
class LiveJourneys:
    """Journeys under way, and those that just started."""

    shop: Shop
    saved: Sequence[SavedVersion[Journey]]
    """Those on which customers are on their way, paused ones among them."""
    started: frozenset[str] = frozenset()
    """Names of those that started for the first time."""
    _versions: dict[tuple[str, int], Journey] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [one.name for one in self.saved]

    def running(self) -> list[OpenJourney]:
        """Those that customers may enter, and that send."""
        zone = ZoneInfo(self.shop.settings.shop.time_zone)
        return [
            OpenJourney(
                one.name, one.content, version=one.version, open_since=_open_since(one, zone), end_at=one.end_at(zone)
            )
            for one in self.saved
            if one.state == RUNNING
        ]

    def newest(self, name: str) -> Journey:
        """The newest version of a journey."""
        return next(one.content for one in self.saved if one.name == name)

    def version(self, name: str, version: int) -> Journey:
        """A version of a journey."""
        key = (name, version)
        if key not in self._versions:
            with self.shop.store.begin() as connection:
                self._versions[key] = JOURNEY.version(connection, name, version)
        return self._versions[key]


def start_journeys(shop: Shop, now: datetime) -> LiveJourneys:
    """Start what is approved and due, end what is over, and return the journeys that are under way then."""
    zone = ZoneInfo(shop.settings.shop.time_zone)
    under_way = []
    started = set()
    for saved in JOURNEY.all_saved_in(shop.store):
        if saved.state in IS_OVER:
            _exit_entries(shop, saved.name, WITHDRAWN if saved.state == IS_WITHDRAWN else OVER, now)
            continue
        start = saved.content.start_at(zone)
        end = saved.content.end_at(zone)
        is_new = saved.last("started") is None
        if end is not None and now >= end:
            _exit_entries(shop, saved.name, OVER, end)
            if saved.state in CAN_END:
                _step(shop, saved, "ended", now)
            continue
        if saved.state == APPROVED and (start is None or now >= start):
            saved = _step(shop, saved, "started", now)  # noqa: PLW2901 - the same journey, one step on
            started |= {saved.name} if is_new and saved.state == RUNNING else set()
        if saved.last("started") is not None:
            under_way.append(saved)
    return LiveJourneys(shop, under_way, frozenset(started))


def _step(shop: Shop, saved: SavedVersion[Journey], step: str, now: datetime) -> SavedVersion[Journey]:
    return JOURNEY.take_step_unless_changed(shop.store, saved, step, states=(saved.state,), by=SENDER, at=now)


def _exit_entries(shop: Shop, name: str, reason: str, at: datetime) -> None:
    """End every entry of a journey."""
    while True:
        with shop.store.begin() as connection:
            entries = active_entries(connection, name, TOGETHER)
            write_entries(connection, [leave(entry, reason, at) for entry in entries])
        if len(entries) < TOGETHER:
            return


def _open_since(saved: SavedVersion[Journey], zone: ZoneInfo) -> datetime:
    opened = [step.taken_at for step in saved.steps if step.step in {"started", "resumed"}]
    start = saved.content.start_at(zone)
    return max([opened[-1], start] if start else opened[-1:])


def journeys_with_messages(connection: sa.Connection, names: Sequence[str], states: Sequence[str]) -> list[str]:
    """Those of some journeys that have messages in some states."""
    table = MESSAGES.c
    chosen = sa.select(table.campaign).where(table.campaign.in_(names), table.state.in_(states)).distinct()
    return list(connection.scalars(chosen))
