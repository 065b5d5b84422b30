"""Journeys that are under way, and the steps of their life that time takes: they start, and they end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.engage.journeys.journey_entries import active_entries, write_entries
from patron.engage.journeys.journey_steps import leave
from patron.engage.journeys.journey_triggers import OpenJourney
from patron.schema.errors import PatronError
from patron.schema.outreach.journey_states import OVER, WITHDRAWN
from patron.storage.outreach.approved_terms import (
    approved_zone,
    held_problem,
    pin_earlier_approvals,
    shop_as_approved,
    terms_of,
    trigger_approval,
)
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
    held: Mapping[str, PatronError] = field(default_factory=dict)
    """Why nobody enters a journey and nothing of it is sent, by name: what was approved cannot be kept up."""
    _versions: dict[tuple[str, int], Journey] = field(default_factory=dict)
    _shops: dict[tuple[str, int], Shop] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [one.name for one in self.saved]

    def running(self) -> list[OpenJourney]:
        """Those that customers may enter, and that send."""
        return [
            OpenJourney(
                one.name,
                one.content,
                version=one.version,
                open_since=_open_since(one, approved_zone(self.shop, one)),
                end_at=one.end_at(approved_zone(self.shop, one)),
                approval=trigger_approval(one),
            )
            for one in self.saved
            if one.state == RUNNING and one.name not in self.held
        ]

    def shop_of(self, name: str, version: int) -> Shop:
        """The shop as it was when a version of a journey was approved. Raises SettingsError."""
        key = (name, version)
        if key not in self._shops:
            terms = terms_of(next(one for one in self.saved if one.name == name), version)
            self._shops[key] = self.shop if terms is None else shop_as_approved(self.shop, terms)
        return self._shops[key]

    def require_sendable(self, name: str, version: int) -> Shop:
        """The shop as a version is sent. Raises BadJourney where what was approved cannot be kept up, SettingsError."""
        saved = next(one for one in self.saved if one.name == name)
        if problem := held_problem(self.shop, JOURNEY, saved, version):
            raise problem
        return self.shop_of(name, version)

    def version(self, name: str, version: int) -> Journey:
        """A version of a journey."""
        key = (name, version)
        if key not in self._versions:
            with self.shop.store.begin() as connection:
                self._versions[key] = JOURNEY.version(connection, name, version)
        return self._versions[key]


def start_journeys(shop: Shop, now: datetime) -> LiveJourneys:
    """Start what is approved and due, end what is over, and return the journeys that are under way then."""
    under_way = []
    started = set()
    held = dict[str, PatronError]()
    for saved in JOURNEY.all_saved_in(shop.store):
        if saved.state in IS_OVER:
            _exit_entries(shop, saved.name, WITHDRAWN if saved.state == IS_WITHDRAWN else OVER, now)
            continue
        saved = pin_earlier_approvals(shop, saved, by=SENDER, at=now)  # noqa: PLW2901 - the same journey, one step on
        zone = approved_zone(shop, saved)
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
            if saved.state == RUNNING and (problem := held_problem(shop, JOURNEY, saved)):
                held[saved.name] = problem
    return LiveJourneys(shop, under_way, frozenset(started), held)


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
