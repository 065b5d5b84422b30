"""What each step of a journey sent, and what became of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from patron.engage.message_queue import journey_message_id
from patron.storage.outreach.campaign_tables import JOURNEY_ENTRIES, MESSAGES, RECEIPTS
from patron.storage.outreach.journey_file import JOURNEY, Send
from patron.storage.store.store import Store


@dataclass(frozen=True)
class StepResult:
    """What one step of a version sent."""

    version: int
    step: str
    """Its id."""
    channel: str
    offer: str
    """Id of the offer; empty for the message alone."""
    message_counts: dict[str, int]
    """Messages by state."""
    receipt_counts: dict[str, int]
    """Messages by what became of them."""


Key = tuple[int, str]
"""Version and id of a step."""


def step_results(store: Store, name: str) -> tuple[StepResult, ...]:
    """What the steps of each version that anybody entered sent, the newest version first."""
    entry = JOURNEY_ENTRIES.c
    message = MESSAGES.c
    receipt = RECEIPTS.c
    entered = sa.select(entry.version).where(entry.journey == name).distinct().order_by(entry.version.desc())
    states = sa.select(message.message_id, message.state).where(message.campaign == name)
    kinds = sa.select(receipt.message_id, receipt.kind).distinct()
    kinds = kinds.join(MESSAGES, message.message_id == receipt.message_id).where(message.campaign == name)
    ways: dict[Key, tuple[str, str]] = {}
    keys: dict[str, Key] = {}
    with store.begin() as connection:
        for version in connection.scalars(entered).all():
            journey = JOURNEY.version(connection, name, version)
            ids = sa.select(entry.entry_id).where(entry.journey == name, entry.version == version)
            entry_ids = connection.scalars(ids).all()
            for place, step in enumerate(journey.steps):
                if isinstance(step, Send):
                    key, channel = (version, journey.step_id(place)), step.channel or journey.channel
                    ways[key] = (channel, step.offer)
                    keys |= {journey_message_id(name, entry_id, key[1], channel): key for entry_id in entry_ids}
        by_state, by_kind = (_counted(keys, connection.execute(rows)) for rows in (states, kinds))
    return tuple(StepResult(*key, *way, by_state.get(key, {}), by_kind.get(key, {})) for key, way in ways.items())


def _counted(keys: Mapping[str, Key], rows: Iterable[Any]) -> dict[Key, dict[str, int]]:
    """How many rows of messages have which value, by the step that sent the message."""
    counts: dict[Key, dict[str, int]] = {}
    for message_id, value in rows:
        if message_id in keys:
            of_step = counts.setdefault(keys[message_id], {})
            of_step[value] = of_step.get(value, 0) + 1
    return counts
