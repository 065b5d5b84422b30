"""Send a campaign: what is due is checked, rendered and handed to its channel, and every outcome is kept.

Nothing is sent twice: a message has one row, whose id follows from campaign, customer and channel, and whoever marks it
`sending` first sends it. Nothing is lost: every assigned customer ends as sent, failed, unknown, skipped with a reason,
or waits. Where a sender was killed, the messages that the channel had and had not answered are of unknown outcome; they
are never sent again by guess, and settled by a receipt, the mail server's log or a person (`settle_message`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

import sqlalchemy as sa

from patron.collect.inbox.compaction import load_inbox
from patron.commands.outreach.messages.mailing import CampaignMailing
from patron.commands.outreach.messages.message_answers import settle_cut_off
from patron.commands.outreach.messages.message_batch import MessageChecker
from patron.commands.outreach.messages.message_events import load_message_events
from patron.commands.outreach.messages.message_handover import Clock, hand_over
from patron.engage.channels import channel_of
from patron.engage.channels.channel import Channel
from patron.engage.message_queue import (
    DueMessage,
    counts,
    due_messages,
    next_due_at,
    put_off,
    settle_by_receipts,
)
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import BadCampaign, WorkspaceBusy
from patron.schema.outreach.message_states import MessageState
from patron.schema.progress import Progress, silent
from patron.schema.sentences import Sentence
from patron.storage.outreach.approved_terms import (
    approved_zone,
    held_problem,
    pin_earlier_approvals,
    shop_as_approved,
    terms_of,
)
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, MESSAGES
from patron.storage.outreach.sending_hold import require_not_held
from patron.storage.outreach.versioned_drafts import (
    APPROVED,
    ENDED,
    IS_OVER,
    MEASURED,
    RUNNING,
    SavedVersion,
    state_in_words,
)
from patron.storage.shop import Shop
from patron.storage.workspace.work_lock import hold_work_lock

PLAN_THEN_APPROVE = Sentence("plan_then_approve", "Plan it with `patron campaign plan`, and let somebody approve it.")
LET_APPROVE = Sentence("let_approve", "Let somebody approve it: `patron campaign approve`.")
RESUME_IT = Sentence("resume_it", "Resume it with `patron campaign resume`.")
IT_IS_OVER = Sentence("it_is_over", "It is over.")
STATE_SENDS_NOTHING = Sentence("state_sends_nothing", "{name!r} is {state}, so nothing is sent")

LOOKED_AHEAD = 10_000
"""Due messages whose recipients are looked up by one query."""
EVENTS_AFTER = 5_000
"""Messages after whose sending their events are stored."""
SENDER = "patron"
"""Who starts and ends a campaign unless somebody is named."""
LOOK_SECONDS = 2.0
"""How often a waiting sender looks whether it is to stop."""
MIN_WAIT = timedelta(seconds=1)


@dataclass(frozen=True)
class SendSummary:
    """Where a campaign's messages stand."""

    campaign: str
    state: str
    sent_count: int
    waiting_count: int
    """Messages that wait for their time, and assigned customers whose turn has not come."""
    unknown_count: int
    failed_count: int
    skipped_count: int
    by_reason: Mapping[str, int]
    """Messages that are not sent, by reason code; `due` counts those that a dry run would send."""
    next_due_at: datetime | None = None
    """When the next message is due; None where nothing is left."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to be sent and no outcome is unknown."""
        return not self.waiting_count and not self.unknown_count


def keep_going() -> bool:
    """Go on."""
    return False


def send_campaign(
    context: RequestContext,
    name: str,
    *,
    channel: Channel | None = None,
    is_early: bool = False,
    progress: Progress = silent,
    should_stop: Callable[[], bool] = keep_going,
) -> SendSummary:
    """Send what is due of a campaign, until nothing more is; the request's clock says the time as it goes on.

    Where it `is_early`, nobody's planned time is waited for; quiet hours and caps still hold.
    Raises NotFound, BadCampaign in a state in which nothing is sent, SendingHeld after a restore, WorkspaceBusy where
    another process sends it, ChannelUnavailable, BadTemplate, NoSpace: whatever is raised, sending it again goes on
    where it was.
    """
    with _hold_send_lock(context.shop, name):
        require_not_held(context.shop.store)
        load_inbox(context.shop)
        saved = CAMPAIGN.saved_in(context.shop.store, name)
        with context.shop.store.begin() as connection:
            settle_cut_off(connection, context.shop.folder, name, is_over=saved.state in IS_OVER)
            settle_by_receipts(connection, name)
        if saved.state not in {ENDED, MEASURED}:
            _require_sendable(saved)
            saved = pin_earlier_approvals(context.shop, saved, by=SENDER, at=context.time())
            if context.time() >= _start(context.shop, saved):
                sending = _Sending(context.shop, saved, channel, context.time, context.by or SENDER, is_early)
                sending.send(progress, should_stop)
        load_message_events(context.shop, name, now=context.time())
        return summary_of(context.shop, name)


def send_until_done(  # noqa: PLR0913 - what a send consists of
    context: RequestContext,
    name: str,
    *,
    wait: Callable[[float], object],
    progress: Progress = silent,
    should_stop: Callable[[], bool] = keep_going,
    is_only_due: bool = False,
    is_early: bool = False,
) -> SendSummary:
    """Send a campaign to its end, or only what is due; `wait` sleeps some seconds.

    It ends early where somebody wants it to stop, or paused, withdrew or changed the campaign. Raises what
    `send_campaign` does.
    """
    while True:
        summary = send_campaign(
            replace(context, now=context.time()),
            name,
            is_early=is_early,
            progress=progress,
            should_stop=should_stop,
        )
        if is_only_due or summary.next_due_at is None:
            return summary
        until = max(summary.next_due_at, context.time() + MIN_WAIT)
        while context.time() < until:
            if should_stop() or CAMPAIGN.saved_in(context.shop.store, name).state not in {APPROVED, RUNNING}:
                return summary_of(context.shop, name)
            progress(f"waiting until {until:%Y-%m-%d %H:%M} UTC", summary.sent_count, None)
            wait(min(LOOK_SECONDS, max((until - context.time()).total_seconds(), 0.0)))


def preview_send(shop: Shop, name: str, *, now: datetime, is_early: bool = False) -> SendSummary:
    """Count what would be sent now, and what would not and why; writes nothing.

    Raises NotFound, BadTemplate, BadCampaign where what was approved cannot be kept up.
    """
    saved = CAMPAIGN.saved_in(shop.store, name)
    before = summary_of(shop, name, is_sent_elsewhere=_is_sent_elsewhere(shop, name))
    terms = terms_of(saved)
    if terms and (problem := held_problem(shop, CAMPAIGN, saved)):
        raise problem
    approved = shop_as_approved(shop, terms) if terms else shop
    checker = MessageChecker.of(approved, CampaignMailing.of(approved, saved), now)
    by_reason: dict[str, int] = {}
    later = {"quiet_hours": 0, "capped": 0}
    for due in _due(shop, saved, lambda: now, is_early=is_early):
        for pairs in checker.batches(due):
            for one in checker.check(pairs, now):
                reason = one.verdict.reason or "due"
                by_reason[reason] = by_reason.get(reason, 0) + 1
                if one.verdict.until is not None:
                    later[reason] += 1
    skipped = sum(n for reason, n in by_reason.items() if reason != "due") - sum(later.values())
    return SendSummary(
        *(name, saved.state, before.sent_count, before.waiting_count, before.unknown_count, before.failed_count),
        before.skipped_count + skipped,
        by_reason,
        before.next_due_at,
    )


def summary_of(shop: Shop, name: str, *, is_sent_elsewhere: bool = False) -> SendSummary:
    """Where a campaign's messages stand; those on their way wait where another process sends it. Raises NotFound."""
    with shop.store.begin() as connection:
        saved = CAMPAIGN.saved(connection, name)
        rows = counts(connection, name)
        assigned = sa.select(sa.func.count()).select_from(ASSIGNMENTS).where(ASSIGNMENTS.c.campaign == name)
        customers = sa.func.count(sa.distinct(MESSAGES.c.customer_id))
        written = sa.select(customers).where(MESSAGES.c.campaign == name)
        left = (connection.scalar(assigned) or 0) - (connection.scalar(written) or 0)
        due_at = next_due_at(connection, name, saved.content.channel)
    by_state = {state: sum(n for (of, _), n in rows.items() if of == state) for state in MessageState}
    is_over, on_their_way = saved.state in {ENDED, MEASURED}, by_state[MessageState.SENDING]
    by_reason: dict[str, int] = {}
    for (_, reason), n in rows.items():
        if reason:
            by_reason[reason] = by_reason.get(reason, 0) + n
    return SendSummary(
        name,
        saved.state,
        sent_count=by_state[MessageState.SENT],
        waiting_count=by_state[MessageState.WAITING] + max(left, 0) + (on_their_way if is_sent_elsewhere else 0),
        unknown_count=by_state[MessageState.UNKNOWN] + (0 if is_sent_elsewhere else on_their_way),
        failed_count=by_state[MessageState.FAILED],
        skipped_count=by_state[MessageState.SKIPPED],
        by_reason=by_reason,
        next_due_at=None if is_over or due_at is None else max(due_at, _start(shop, saved)),
    )


@dataclass
class _Sending:
    """One call of `send_campaign`."""

    shop: Shop
    saved: SavedVersion[Campaign]
    channel: Channel | None
    """By which it is sent; None: the one that is set up."""
    clock: Clock
    by: str
    is_early: bool

    def send(self, progress: Progress, should_stop: Callable[[], bool]) -> None:
        """Send what is due, and end the campaign once nothing is left or its time is over.

        Raises BadCampaign where what was approved cannot be kept up: nothing is sent until it is approved again.
        """
        if self.clock() < self._mailing.end:
            if problem := held_problem(self.shop, CAMPAIGN, self.saved):
                raise problem
            self._step("started", APPROVED)
            self._send_due(progress, should_stop)
        if self.clock() >= self._mailing.end:
            self._skip_rest()
        with self.shop.store.begin() as connection:
            is_done = next_due_at(connection, self.saved.name, self.saved.content.channel) is None
            # why: a person may still find that one of unknown outcome was not sent, and must be
            is_open = any(state == MessageState.UNKNOWN for state, _ in counts(connection, self.saved.name))
        if is_done and (self.clock() >= self._mailing.end or not is_open):
            self._step("ended", RUNNING, APPROVED)

    @cached_property
    def _approved(self) -> Shop:
        """The shop as it was when the campaign was approved."""
        terms = terms_of(self.saved)
        return shop_as_approved(self.shop, terms) if terms else self.shop

    @cached_property
    def _mailing(self) -> CampaignMailing:
        return CampaignMailing.of(self._approved, self.saved)

    def _send_due(self, progress: Progress, should_stop: Callable[[], bool]) -> None:
        channel = self.channel or channel_of(self._approved, self._mailing.channel, clock=self.clock)
        checker = MessageChecker.of(self._approved, self._mailing, self.clock())
        total = summary_of(self.shop, self.saved.name).waiting_count
        done = reported = 0
        while True:
            before = done
            for due in _due(self.shop, self.saved, self.clock, is_early=self.is_early):
                checker.allowance = checker.mailing.allowance(self._approved, self.clock())
                for written_count in hand_over(checker, channel, due, self.clock, should_stop):
                    done += written_count
                    progress("messages", done, max(total, done))
                    if done - reported >= EVENTS_AFTER:
                        load_message_events(self.shop, self.saved.name, now=self.clock())
                        load_inbox(self.shop)
                        reported = done
                    if should_stop() or not self._is_sendable():
                        return
            if done == before:
                return

    def _is_sendable(self) -> bool:
        """Whether it is still to be sent: nobody paused, withdrew or changed it, and its time is not over."""
        with self.shop.store.begin() as connection:
            return self._mailing.is_open(connection, self.clock())

    def _step(self, step: str, *states: str) -> None:
        """Take a step unless the campaign's state is another one by now."""
        store, at = self.shop.store, self.clock()
        CAMPAIGN.take_step_unless_changed(store, self.saved, step, states=states, by=self.by, at=at)

    def _skip_rest(self) -> None:
        """Skip whoever's turn did not come before the campaign ended."""
        mailing, at = self._mailing, self.clock()
        end_of_time = datetime.max.replace(tzinfo=UTC)
        while True:
            with self.shop.store.begin() as connection:
                rest = due_messages(connection, mailing.name, mailing.channel, end_of_time, most=LOOKED_AHEAD)
                put_off(connection, [mailing.skipped_row(due, _reason_to_skip(due), at) for due in rest])
            if not rest:
                return


def _reason_to_skip(due: DueMessage) -> str:
    return "holdout" if due.is_holdout else "window_over" if due.is_planned else "not_planned"


def _due(shop: Shop, saved: SavedVersion[Campaign], clock: Clock, *, is_early: bool) -> Iterator[list[DueMessage]]:
    """Due messages, each customer once; what becomes due meanwhile comes in its turn, or the next time."""
    after = ""
    while True:
        with shop.store.begin() as connection:
            parts = (connection, saved.name, saved.content.channel, clock())
            due = due_messages(*parts, after=after, most=LOOKED_AHEAD, is_early=is_early)
        if not due:
            return
        yield due
        after = due[-1].customer_id


def _require_sendable(saved: SavedVersion[Campaign]) -> None:
    if saved.state not in {APPROVED, RUNNING}:
        todo = {
            "draft": PLAN_THEN_APPROVE,
            "planned": LET_APPROVE,
            "paused": RESUME_IT,
        }.get(saved.state, IT_IS_OVER)
        state = state_in_words(saved.state)
        raise BadCampaign(STATE_SENDS_NOTHING(name=saved.name, state=state), where="campaign", todo=todo)


def _start(shop: Shop, saved: SavedVersion[Campaign]) -> datetime:
    return saved.content.start_at(approved_zone(shop, saved)).astimezone(UTC)


def _is_sent_elsewhere(shop: Shop, name: str) -> bool:
    try:
        with _hold_send_lock(shop, name):
            return False
    except WorkspaceBusy:
        return True


def _hold_send_lock(shop: Shop, name: str) -> AbstractContextManager[None]:
    """Be the only one who sends a campaign; runs, imports and the collector are not held up. Raises WorkspaceBusy."""
    what, todo = (
        f"another process is sending the campaign {name!r}",
        "Let it finish, or end it; sending goes on where it was.",
    )
    return hold_work_lock(shop.folder, "send", name, WorkspaceBusy(what, where="campaign", todo=todo))
