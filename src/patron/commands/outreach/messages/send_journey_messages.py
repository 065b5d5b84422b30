"""Send the messages of journeys that are due, and move on whose message is settled.

What became of a message stands in its row; an entry moves on by that row alone, so that a process that ends at any
moment sends nothing twice and loses nobody.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from patron.commands.outreach.journeys.journey_mailing import JourneyMailing
from patron.commands.outreach.messages.message_batch import MessageChecker
from patron.commands.outreach.messages.message_costs import expected_message_cents
from patron.commands.outreach.messages.message_handover import Clock, hand_over
from patron.engage.channels.channel import Channel
from patron.engage.journeys.customer_events import earlier_ids
from patron.engage.journeys.journey_entries import (
    customers_of_entries,
    due_entries,
    entries_at_step,
    entries_of_customers,
    put_off_entries,
    rename_customers,
    write_entries,
)
from patron.engage.journeys.journey_fold import surplus_entries
from patron.engage.journeys.journey_steps import Entry, enter_step, leave
from patron.engage.message_queue import put_off
from patron.schema.errors import ChannelUnavailable
from patron.schema.outreach.journey_states import MERGED
from patron.schema.outreach.message_states import MessageState
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.outreach.journey_file import Journey
from patron.storage.shop import Shop

MAX_MESSAGES = 1_000
"""Messages of a step in one round: some seconds."""
RETRY_AFTER = timedelta(seconds=30)
"""How long messages wait for a channel that is not there."""
SETTLE_AFTER = timedelta(minutes=5)
"""When a message of unknown outcome is looked at again."""
IN_ONE_QUERY = 500
SETTLED = (MessageState.SENT, MessageState.FAILED, MessageState.SKIPPED)
OPEN = (MessageState.UNKNOWN, MessageState.SENDING)


@dataclass
class JourneySend:
    """One round's messages of one step of a version of a journey."""

    shop: Shop
    journey: Journey
    mailing: JourneyMailing
    channel_of: Callable[[str], Channel]
    clock: Clock
    should_stop: Callable[[], bool]

    def send(self, now: datetime) -> None:
        """Send what is due at a time, at most MAX_MESSAGES messages: other journeys wait meanwhile.

        Raises ChannelUnavailable, BadTemplate, NoSpace, WorkspaceBusy.
        """
        group = (self.mailing.name, self.mailing.version, self.mailing.place)
        with self.shop.store.begin() as connection:
            entries = due_entries(connection, group, now, most=MAX_MESSAGES)
        to_send = self._move_on(self._without_surplus(self._with_current_customers(entries)))
        if not to_send:
            return
        try:
            self._hand_over(to_send)
        except ChannelUnavailable:
            self._move_on(to_send)
            with self.shop.store.begin() as connection:
                put_off_entries(connection, group, now, self.clock() + RETRY_AFTER)
            raise
        self._move_on(to_send)

    def _with_current_customers(self, entries: Sequence[Entry]) -> list[Entry]:
        """Entries with the customers as the last run knows them."""
        customer_of = customers_of_entries(self.shop.snapshot() or self.shop.newest_snapshot(), entries)
        renamed = [replace(entry, customer_id=customer_of[entry.customer_id]) for entry in entries]
        changed = [one for one, before in zip(renamed, entries, strict=True) if one != before]
        if changed:
            with self.shop.store.begin() as connection:
                rename_customers(connection, changed)
        return renamed

    def _without_surplus(self, entries: Sequence[Entry]) -> list[Entry]:
        """Entries but those that a customer has too many since they became one with another; these leave."""
        customer_of = earlier_ids(
            self.shop.snapshot() or self.shop.newest_snapshot(), {entry.customer_id for entry in entries}
        )
        theirs = defaultdict[str, list[Entry]](list)
        with self.shop.store.begin() as connection:
            for entry in entries_of_customers(connection, [self.mailing.name], customer_of):
                theirs[customer_of[entry.customer_id]].append(entry)
            surplus = set[str]().union(*(surplus_entries(some, self.journey) for some in theirs.values()))
            left = [leave(entry, MERGED, self.clock()) for entry in entries if entry.entry_id in surplus]
            write_entries(connection, left)
        return [entry for entry in entries if entry.entry_id not in surplus]

    def _move_on(self, entries: Sequence[Entry]) -> list[Entry]:
        """Let entries go on whose message is settled or too late, and wait where it waits; returns those to send."""
        now = self.clock()
        to_send = list[Entry]()
        moved = list[Entry]()
        late = list[dict[str, Any]]()
        with self.shop.store.begin() as connection:
            rows = self._messages(connection, entries)
            at_step = {one.entry_id for one in entries_at_step(connection, rows, self.mailing.place)}
            for entry in entries:
                if entry.entry_id not in at_step:
                    continue
                row, end = rows[entry.entry_id], self.mailing.end_since(entry.reached_at)
                state = row["state"] if row else None
                if row and state in SETTLED:
                    moved.append(self._next(entry, row["sent_at"] or row["written_at"]))
                elif now >= end:
                    moved.append(self._next(entry, end))
                    due = self.mailing.due(entry, row["attempt_count"] if row else 0)
                    late += [] if state in OPEN else [self.mailing.skipped_row(due, "late", now)]
                elif row and state in OPEN:
                    moved.append(replace(entry, due_at=min(end, now + SETTLE_AFTER)))
                elif row and row["next_attempt_at"] and row["next_attempt_at"] > now:
                    moved.append(replace(entry, due_at=min(end, row["next_attempt_at"])))
                else:
                    to_send.append(entry)
            put_off(connection, late)
            write_entries(connection, moved)
        return to_send

    def _next(self, entry: Entry, at: datetime) -> Entry:
        return enter_step(entry, self.journey, self.journey.place_after(entry.step), max(at, entry.reached_at))

    def _messages(self, connection: sa.Connection, entries: Sequence[Entry]) -> Mapping[str, Mapping[str, Any] | None]:
        """The row of each entry's message; None without one."""
        table = MESSAGES.c
        entry_of = {self.mailing.message_id_of(entry.entry_id): entry.entry_id for entry in entries}
        columns = (table.message_id, table.state, table.attempt_count, table.next_attempt_at)
        rows: dict[str, Mapping[str, Any] | None] = {entry.entry_id: None for entry in entries}
        ids = sorted(entry_of)
        for start in range(0, len(ids), IN_ONE_QUERY):
            chosen = sa.select(*columns, table.written_at, table.sent_at)
            chosen = chosen.where(table.message_id.in_(ids[start : start + IN_ONE_QUERY]))
            for row in connection.execute(chosen).mappings():
                times = {name: row[name] and utc(row[name]) for name in ("next_attempt_at", "written_at", "sent_at")}
                rows[entry_of[row["message_id"]]] = {**row, **times}
        return rows

    def _hand_over(self, entries: Sequence[Entry]) -> None:
        checker = MessageChecker.of(self.shop, self.mailing, self.clock())
        with self.shop.store.begin() as connection:
            rows = self._messages(connection, entries)
        costs = expected_message_cents(self.shop, self.mailing.offer, [entry.customer_id for entry in entries])
        due = [
            self.mailing.due(one, (rows[one.entry_id] or {"attempt_count": 0})["attempt_count"], cost)
            for one, cost in zip(entries, costs.tolist(), strict=True)
        ]
        for _ in hand_over(checker, self.channel_of(self.mailing.channel), due, self.clock, self.should_stop):
            if self.should_stop():
                return
