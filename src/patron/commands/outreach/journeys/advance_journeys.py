"""Advance journeys: fold what is new, take the steps that are due, send the messages that are, and no more.

One round after the other is what `patron serve` does in a process of its own. A round may end at any moment: what it
wrote stands, and the next one goes on there.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from patron.collect.inbox.compaction import load_inbox
from patron.commands.outreach.journeys.fold_journey_events import JourneyEventProcessor
from patron.commands.outreach.journeys.journey_branches import JourneyBranches
from patron.commands.outreach.journeys.journey_mailing import JourneyMailing
from patron.commands.outreach.journeys.live_journeys import LiveJourneys, journeys_with_messages, start_journeys
from patron.commands.outreach.messages.message_answers import settle_cut_off
from patron.commands.outreach.messages.message_events import load_message_events
from patron.commands.outreach.messages.message_handover import Clock
from patron.commands.outreach.messages.send_campaign import keep_going
from patron.commands.outreach.messages.send_journey_messages import JourneySend
from patron.engage.channels import channel_of
from patron.engage.channels.channel import Channel
from patron.engage.journeys.journey_entries import (
    customers_of_entries,
    due_entries,
    due_groups,
    next_due_at,
    write_entries,
)
from patron.engage.journeys.journey_position import read_position, write_position
from patron.engage.journeys.journey_steps import INSTANT, advance_clock, has_branches
from patron.engage.message_queue import settle_by_receipts
from patron.schema.errors import PatronError, WorkspaceBusy
from patron.schema.outreach.message_states import MessageState
from patron.storage.outreach.journey_file import JOURNEY, Send
from patron.storage.outreach.sending_hold import held_refusal
from patron.storage.outreach.versioned_drafts import IS_OVER
from patron.storage.shop import Shop
from patron.storage.workspace.work_lock import hold_work_lock

TOGETHER, BATCHES = 5_000, 2
"""Entries whose steps are taken in one transaction, and how many times in a round for each step."""
HEAR_AFTER = timedelta(seconds=15)
"""While a round sends for longer than that, it looks again at what came before it goes on with another step."""
STORE_EVENTS_AFTER = timedelta(minutes=1)
"""How long what was sent waits to become events of the lake: each time is a commit of it."""
RECEIPTS_COME_FOR = timedelta(days=3)
"""Receipts that happened so long before the last look still become events."""
ChannelByName = Callable[[str], Channel]


def advance_journeys(
    shop: Shop, *, clock: Clock, channel: ChannelByName | None = None, should_stop: Callable[[], bool] = keep_going
) -> tuple[datetime | None, list[PatronError]]:
    """Take one round; returns when the next step is due (None where nobody is on the way), and what went wrong.

    One journey that cannot go on does not keep the others back. Raises WorkspaceBusy where another process is at it,
    or where the inbox cannot be moved now: then nothing is sent, as an order may wait in it.
    """
    with _hold_journeys_lock(shop):
        now, troubles = clock(), list[PatronError]()
        live = start_journeys(shop, now)
        troubles += live.held.values()
        _settle(shop)
        if not live.saved:
            _store_events(shop, now)
            return None, troubles
        refusal = held_refusal(shop.store)
        is_heard = _is_due(shop, live, now, is_held=refusal is not None)
        if is_heard:  # why: what the collector accepted before something was due decides what becomes of it
            load_inbox(shop)
        has_more = _fold(shop, live, now, troubles)
        _take_steps(shop, live, now, troubles)
        if not is_heard and _is_due(
            shop, live, now, is_held=refusal is not None
        ):  # why: of who just entered an order may wait there, too
            load_inbox(shop)
            has_more = _fold(shop, live, now, troubles)
        if refusal is None:
            _send(shop, live, now, (channel, clock, should_stop), troubles)
        elif _is_due(shop, live, now):
            troubles.append(refusal)
        _take_steps(shop, live, now, troubles)
        _store_events(shop, now)
        with shop.store.begin() as connection:
            due_at = next_due_at(connection, [one.name for one in live.running()])
        return (now if has_more else due_at), troubles


def _fold(shop: Shop, live: LiveJourneys, now: datetime, troubles: list[PatronError]) -> bool:
    """Fold what is new; returns whether more waits."""
    fold = JourneyEventProcessor(shop, live, now)
    has_more = fold.fold()
    troubles += fold.troubles
    return has_more


def _is_due(shop: Shop, live: LiveJourneys, now: datetime, *, is_held: bool = False) -> bool:
    """Whether any step can be taken now: what a paused journey sends waits, and all that is sent while it is held."""
    running, names = set[str]() if is_held else {one.name for one in live.running()}, set(live.names)
    with shop.store.begin() as connection:
        groups = [due_group for due_group in due_groups(connection, now) if due_group[0] in names]
    return any(
        name in running or not isinstance(live.version(name, version).steps[place], Send)
        for name, version, place in groups
    )


def _take_steps(shop: Shop, live: LiveJourneys, now: datetime, troubles: list[PatronError]) -> None:
    """Take every step that is due and sends nothing."""
    names, snapshot = set(live.names), shop.snapshot() or shop.newest_snapshot()
    with shop.store.begin() as connection:
        groups = [due_group for due_group in due_groups(connection, now) if due_group[0] in names]
    for name, version, place in groups:
        journey = live.version(name, version)
        for _ in range(0 if isinstance(journey.steps[place], Send) else BATCHES):
            with shop.store.begin() as connection:
                entries = due_entries(connection, (name, version, place), now, most=TOGETHER)
            if not entries:
                break
            customer_of = customers_of_entries(snapshot, entries) if has_branches(journey) else {}
            branches = JourneyBranches(live.shop_of, live.version, customer_of)
            moved = [advance_clock(entry, journey, now + INSTANT, branches.holds) for entry in entries]
            with shop.store.begin() as connection:
                write_entries(connection, [one for one, before in zip(moved, entries, strict=True) if one != before])
            troubles += branches.troubles


def _send(
    shop: Shop,
    live: LiveJourneys,
    now: datetime,
    means: tuple[ChannelByName | None, Clock, Callable[[], bool]],
    troubles: list[PatronError],
) -> None:
    """Send what is due of every journey that runs."""
    saved, running = {one.name: one for one in live.saved}, {one.name for one in live.running()}
    with shop.store.begin() as connection:
        groups = [due_group for due_group in due_groups(connection, now) if due_group[0] in running]
    channel, clock, should_stop = means
    heard_at = clock()
    for name, version, place in groups:
        journey = live.version(name, version)
        if not isinstance(journey.steps[place], Send):
            continue
        if clock() - heard_at > HEAR_AFTER:
            heard_at = clock()
            load_inbox(shop)
            _fold(shop, live, heard_at, troubles)
        try:
            approved = live.require_sendable(name, version)
            mailing = JourneyMailing.of(approved, journey, version, place, newest=saved[name])
            by_name = channel or partial(channel_of, approved, clock=clock)
            JourneySend(approved, journey, mailing, by_name, clock, should_stop).send(now)
        except PatronError as error:
            troubles.append(error)


def _settle(shop: Shop) -> None:
    """Settle what a process that was killed left on its way, and what receipts prove."""
    states = {one.name: one.state for one in JOURNEY.all_saved_in(shop.store)}
    with shop.store.begin() as connection:
        open_states = (MessageState.SENDING, MessageState.UNKNOWN)
        for name in journeys_with_messages(connection, list(states), open_states):
            settle_cut_off(connection, shop.folder, name, is_over=states[name] in IS_OVER)
            settle_by_receipts(connection, name)


def _store_events(shop: Shop, now: datetime) -> None:
    """Store events of messages and receipts, now and then. Raises NoSpace, WorkspaceBusy."""
    with shop.store.begin() as connection:
        position = read_position(connection)
    stored_at = datetime.fromisoformat(position.events_stored_at) if position and position.events_stored_at else None
    # why not of a time to come: the clock went back
    if position is None or (stored_at and timedelta() <= now - stored_at < STORE_EVENTS_AFTER):
        return
    since = min(stored_at or position.looked_at, now) - RECEIPTS_COME_FOR
    for saved in JOURNEY.all_saved_in(shop.store):
        is_over = saved.state in IS_OVER and now - saved.steps[-1].taken_at > RECEIPTS_COME_FOR
        if saved.last("started") is not None and not is_over:
            load_message_events(shop, saved.name, now=now, since=since)
    with shop.store.begin() as connection:
        write_position(connection, replace(position, events_stored_at=now.isoformat()))


def _hold_journeys_lock(shop: Shop) -> AbstractContextManager[None]:
    """Be the only process that advances journeys. Raises WorkspaceBusy."""
    what, todo = "another process advances the journeys", "Let it, or end it; they go on where they were."
    return hold_work_lock(shop.folder, "journeys", "", WorkspaceBusy(what, where="journeys", todo=todo))
