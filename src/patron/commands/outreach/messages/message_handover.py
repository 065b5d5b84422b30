"""Checked messages handed to a channel: each is durable as `sending` before, and its answer is recorded after.

Messages are marked in groups of 10, right before they are handed over, with the answers that came meanwhile in the same
commit: a commit to the encrypted store takes some 5 to 10 ms on the disk of a small server, so that one for each
message would let no more than 120 a second through, and one for 10 allows 1,100. A journal says of each message of the
group whether the channel has it and what it answered, so that a kill leaves as of unknown outcome only those that the
channel had not answered: at most one a connection. Where the journal is lost, it is the last group and the answers that
had not been recorded: 14 messages on average.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

import sqlalchemy as sa

from patron.commands.outreach.messages.message_answers import REFUSALS, Attempt, record_answers
from patron.commands.outreach.messages.message_batch import CheckedMessage, MessageChecker, offer_variables
from patron.engage.channels.channel import Channel, Handover, OutgoingMessage
from patron.engage.handover_journal import HandoverJournal
from patron.engage.message_limits import next_allowed
from patron.engage.message_queue import DueMessage, claim, put_off, sent_times, update_messages
from patron.engage.templates.message_links import message_links
from patron.govern.outreach.sent_messages import sealed_messages, store_dictionary
from patron.govern.outreach.suppression_list import suppressed_contacts
from patron.govern.privacy.consent_ledger import ledger_head
from patron.schema.errors import BadTemplate, ChannelUnavailable
from patron.schema.outreach.message_states import MessageState
from patron.storage.outreach.versioned_drafts import lock_campaigns
from patron.storage.store.store import FORGOTTEN, VAULT_TEXTS, after_commit, upsert

GROUP = 10
OLDEST_CHECK = timedelta(seconds=30)
"""Messages that were checked earlier are checked again before they go out."""
Clock = Callable[[], datetime]
Dictionary = tuple[str, bytes]


@dataclass
class MessageHandover:
    """One batch on its way to the channel."""

    checker: MessageChecker
    channel: Channel
    clock: Clock
    dictionary: Dictionary
    should_stop: Callable[[], bool]
    is_stopped: bool = False
    """Whether the campaign was paused, changed or is over, or somebody wants the sender to stop."""
    _answers: list[Handover] = field(default_factory=list)
    _on_its_way: dict[str, CheckedMessage] = field(default_factory=dict)
    """Messages that were handed over and have no answer yet."""
    _failure: Exception | None = None
    _journal: HandoverJournal = field(init=False)
    _written_count: int = 0
    _spent: set[str] = field(default_factory=set)
    """Messages that use up the allowance: they were taken, or may have been."""

    def hand_over(self, messages: Sequence[CheckedMessage]) -> int:
        """Write what is put off, hand over what may be sent, and record every answer; returns how many were written.

        Raises ChannelUnavailable, WorkspaceError; what was not handed over then stays to be sent.
        """
        held_back = [message for message in messages if message.outgoing is None]
        if held_back:
            with self.checker.shop.store.begin() as connection:
                allowed = self._pending(connection, held_back)
                put_off(connection, [one.waiting_or_skipped(self.clock()) for one in allowed])
            self._written_count += len(allowed)
        ready = [message for message in messages if message.outgoing is not None]
        if ready:
            self._journal = HandoverJournal(self.checker.shop.folder, self.checker.mailing.name)
            try:
                asyncio.run(self._hand_over(ready))
            finally:
                self._journal.close(is_done=not self._on_its_way and self._failure is None)
                for one in ready:
                    if one.row["message_id"] not in self._spent:
                        self.checker.allowance.give_back(one.facts)
        if self._failure:
            raise self._failure
        return self._written_count

    async def _hand_over(self, ready: Sequence[CheckedMessage]) -> None:
        try:
            async for answer in self.channel.hand_over(self._feed(ready)):
                self._answers.append(answer)
                self._journal.answer(answer)
        except ChannelUnavailable as error:
            self._failure = error
            with self.checker.shop.store.begin() as connection:
                self._record(connection)
                self._release(connection)
            return
        finally:
            if self._answers:  # why also after an error: what is known of a message is kept
                with self.checker.shop.store.begin() as connection:
                    self._record(connection)

    def _feed(self, ready: Sequence[CheckedMessage]) -> Iterator[OutgoingMessage]:
        """Messages for the channel, each group marked when its first one is taken."""
        waiting, checked_at = iter(ready), self.clock()
        while some := list(islice(waiting, GROUP)):
            try:
                ours = self._mark(some, checked_at)
                for our in ours:
                    self._journal.take(our.message_id)
                    yield our
            except Exception as error:  # noqa: BLE001 - raised once the channel has answered what is on its way
                self._failure = error
                return
            if self.is_stopped:
                return

    def _mark(self, group: Sequence[CheckedMessage], checked_at: datetime) -> list[OutgoingMessage]:
        """Record the answers so far, and mark the messages of a group that still may be sent as `sending`."""
        at, shop = self.clock(), self.checker.shop
        with shop.store.begin() as connection:
            lock_campaigns(connection)  # why: two campaigns at once would both find a cap unused
            self._record(connection)
            is_open = self.checker.mailing.is_open(connection, at)
            is_old = at - checked_at > OLDEST_CHECK or ledger_head(connection) != self.checker.consents_until
            if not is_open or is_old or self.should_stop():
                self.is_stopped = True
                return []
            quiet = shop.policy.messages.quiet
            end_of = self.checker.mailing.end_of
            allowed = [one for one in group if next_allowed(at, one.facts.zone, quiet) == at and at < end_of(one.due)]
            allowed = self._unchanged(connection, self._pending(connection, allowed), at)
            claimed = claim(connection, [one.on_its_way(at) for one in allowed])
            ours = [one for one in allowed if one.row["message_id"] in claimed]
            contents = [(our.row["message_id"], our.row["token"], our.content) for our in ours]
            rows = sealed_messages(self.checker.vault, contents, self.dictionary)
            names = [column.name for column in VAULT_TEXTS.columns]
            texts = [dict(zip(names, row, strict=True)) for row in rows]
            upsert(connection, VAULT_TEXTS, texts, update=("token", "ciphertext"))
            self._journal.mark([(our.row["message_id"], end_of(our.due)) for our in ours], at.astimezone(UTC))
        self._spent |= {one.row["message_id"] for one in allowed}  # why: another sender took those that are not ours
        self._on_its_way |= {our.row["message_id"]: our for our in ours}
        self._written_count += len(ours)
        return [our.outgoing for our in ours if our.outgoing is not None]

    def _pending(self, connection: sa.Connection, messages: Sequence[CheckedMessage]) -> list[CheckedMessage]:
        """Messages whose customer is still assigned, or in the journey, and was not forgotten since the checks."""
        tokens = [message.row["token"] for message in messages if message.row["token"]]
        known = self.checker.mailing.pending_customers(connection, [message.due for message in messages])
        forgotten = set(connection.scalars(sa.select(FORGOTTEN.c.token).where(FORGOTTEN.c.token.in_(tokens))))
        return [
            message
            for message in messages
            if message.row["customer_id"] in known and message.row["token"] not in forgotten
        ]

    def _unchanged(
        self, connection: sa.Connection, messages: Sequence[CheckedMessage], at: datetime
    ) -> list[CheckedMessage]:
        """Messages whose address was not suppressed, and whose customer had no other message, since the checks."""
        mailing = self.checker.mailing
        contacts = {message.row["contact"] for message in messages if message.row["contact"]}
        blocked = suppressed_contacts(connection, contacts, mailing.channel, mailing.topic)
        days = max((cap.within_days for cap in self.checker.shop.policy.messages.caps), default=0)
        ids = [message.row["customer_id"] for message in messages]
        times = sent_times(connection, ids, at - timedelta(days=days)) if days else {}
        return [
            message
            for message in messages
            if message.row["contact"] not in blocked
            and set(times.get(message.row["customer_id"], ())) <= set(message.facts.sent_times)
        ]

    def _record(self, connection: sa.Connection) -> None:
        """Record the answers that came; they are dropped from memory once the transaction is on disk."""
        answers = [answer for answer in self._answers if answer.message_id in self._on_its_way]
        pairs = [(answer, self._attempt(self._on_its_way[answer.message_id])) for answer in answers]
        record_answers(connection, pairs, self.clock())
        self._spent -= {answer.message_id for answer in answers if answer.outcome in REFUSALS}
        after_commit(connection, lambda: self._drop(answers))

    def _attempt(self, message: CheckedMessage) -> Attempt:
        row, end = message.row, self.checker.mailing.end_of(message.due)
        return Attempt(row["attempt_count"] + 1, self.channel.name, row["contact"], end)

    def _drop(self, answers: Sequence[Handover]) -> None:
        for answer in answers:
            self._answers.remove(answer)
            self._on_its_way.pop(answer.message_id, None)

    def _release(self, connection: sa.Connection) -> None:
        """Let messages wait that the channel did not take, as nobody was there to take them."""
        now = self.clock().astimezone(UTC)
        waits = {"state": MessageState.WAITING, "reason": "not_taken", "next_attempt_at": now, "sent_at": None}
        released = self._on_its_way.keys() - {answer.message_id for answer in self._answers}
        self._spent -= released
        update_messages(connection, [{"message_id": one, **waits} for one in released])
        after_commit(connection, lambda: self._drop_released(released))

    def _drop_released(self, message_ids: AbstractSet[str]) -> None:
        for message_id in message_ids:
            del self._on_its_way[message_id]


def hand_over(
    checker: MessageChecker,
    channel: Channel,
    due: Sequence[DueMessage],
    clock: Clock,
    should_stop: Callable[[], bool],
) -> Iterator[int]:
    """Check due messages and hand over those that pass, batch by batch; of each batch, how many were written.

    Raises as MessageHandover.hand_over.
    """
    dictionary = store_dictionary(checker.vault, _common_text(checker), clock().astimezone(UTC))
    for pairs in checker.batches(due):
        yield MessageHandover(checker, channel, clock, dictionary, should_stop).hand_over(checker.check(pairs, clock()))


def _common_text(checker: MessageChecker) -> str:
    """What the messages of all customers have in common: each template filled with its own variables' names."""
    offers = checker.shop.policy.offers
    at, links = datetime(2000, 1, 1, tzinfo=UTC), message_links(checker.shop.settings, "")
    texts = []
    for template in checker.templates.by_language.values():
        values: dict[str, object] = {**links, **({"offer": offer_variables(offers[0], at)} if offers else {})}
        for name in template.variables:
            root, _, leaf = name.partition(".")
            if leaf and root != "offer":
                values[root] = {**values.get(root, {}), leaf: leaf}  # type: ignore[dict-item]
        try:
            message = template.render(values)
        except BadTemplate:  # why: it is only for size; what is wrong with it shows with people's own values
            continue
        texts.append(json.dumps(checker.content("", template.language, message), ensure_ascii=False))
    return "".join(texts)
