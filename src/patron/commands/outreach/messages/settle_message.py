"""Settle messages of unknown outcome: by receipts, by the log of the mail server, or by a person who looked it up."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from patron.commands.outreach.messages.message_events import load_message_events
from patron.commands.outreach.messages.receive_receipts import receive_receipts
from patron.engage.message_queue import settle_by_receipts, update_messages
from patron.engage.providers.mail_log import MailLog
from patron.engage.providers.receipts import BOUNCED, Receipt, is_permanent
from patron.govern.access import audit_log
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import BadCampaign, NotFound
from patron.schema.outreach.draft_name import DraftName
from patron.schema.outreach.message_states import MessageState
from patron.schema.sentences import Sentence
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.outreach.journey_file import JOURNEY
from patron.storage.outreach.versioned_drafts import APPROVED, PAUSED, RUNNING
from patron.storage.shop import Shop

NO_MESSAGE = Sentence("no_message", "the campaign has no message {message!r}")
LIST_UNKNOWN = Sentence("list_unknown", "`patron campaign settle NAME` lists those of unknown outcome.")
ONLY_UNKNOWN = Sentence("only_unknown", "Only a message of unknown outcome needs to be settled.")
MESSAGE_STATE = Sentence("message_state", "the message is {state}")

NOT_SENT = frozenset({MessageState.WAITING, MessageState.SKIPPED, MessageState.FAILED})
MessageId = Annotated[str, Field(max_length=200)]


@dataclass(frozen=True)
class Settlement:
    """A message whose outcome is known now."""

    message_id: str
    is_sent: bool


@dataclass(frozen=True)
class SettledCounts:
    """How many messages of unknown outcome were found to have been sent, by what says so."""

    receipts: int
    """By a bounce, a delivery report, an open and the like."""
    mail_log: int
    """By the log of the mail server."""


def settle_operation(word: str) -> Callable[..., Settlement]:
    """Settling a message of a campaign or of a journey, as an operation."""

    def settle(context: RequestContext, name: DraftName, message_id: MessageId, *, is_sent: bool) -> Settlement:
        """Say of a message of unknown outcome whether it was sent."""
        settle_message(context, name, message_id, is_sent=is_sent)
        return Settlement(message_id, is_sent)

    settle.__name__ = f"settle_{word}_message"
    right, audit = Right(Action.ACT, Area.CAMPAIGNS), AuditAction.MESSAGE_SETTLED
    return operation(right, f"POST /api/{word}s/{{name}}/settle", audit=audit, name_field="by")(settle)


def settle_message(context: RequestContext, campaign: str, message_id: str, *, is_sent: bool) -> None:
    """Record that a message of unknown outcome was sent, or was not: then it is sent while the campaign goes on.

    A journey's is not sent any more: its customer goes on with the next step. Where the same is on record, nothing
    changes: evidence, or somebody else, said so first.

    Raises NotFound, BadCampaign for a message that is on its way, or of which the opposite is known.
    """
    if not is_sent:
        with context.shop.store.begin() as connection:
            settle_by_receipts(connection, campaign)
    at, may_be_sent = context.now.astimezone(UTC), _may_be_sent(context.shop, campaign)
    of_message = (MESSAGES.c.message_id == message_id, MESSAGES.c.campaign == campaign)
    not_sent = MessageState.WAITING if may_be_sent else MessageState.SKIPPED
    state = MessageState.SENT if is_sent else not_sent
    with context.shop.store.begin() as connection:
        before = connection.scalar(sa.select(MESSAGES.c.state).where(*of_message))
        if before is None:
            what = NO_MESSAGE(message=message_id)
            todo = LIST_UNKNOWN
            raise NotFound(what, where="--message", todo=todo)
        if before in ({MessageState.SENT} if is_sent else NOT_SENT):
            return
        if before != MessageState.UNKNOWN:
            todo = ONLY_UNKNOWN
            raise BadCampaign(MESSAGE_STATE(state=before), where="--message", todo=todo)
        change: dict[str, object] = {"message_id": message_id, "state": state, "reason": "settled"}
        if not is_sent:
            change |= {"next_attempt_at": at if state == MessageState.WAITING else None, "sent_at": None}
        update_messages(connection, [change])
        details = {"campaign": campaign, "message_id": message_id, "is_sent": is_sent}
        audit_log.append(context.shop, connection, AuditAction.MESSAGE_SETTLED, details, at=at, by=context.by)
    load_message_events(context.shop, campaign, now=at)


def settle_by_evidence(context: RequestContext, campaign: str, *, mail_logs: Iterable[Path] = ()) -> SettledCounts:
    """Settle messages of unknown outcome that receipts, or logs of the mail server in order, prove to have been sent.

    What a log does not name stays as it is: nothing proves that a message was not sent. A message that the server took
    and could not deliver is sent, and bounced. Raises NotFound, BadFile, NoSpace, WorkspaceBusy.
    """
    shop, now = context.shop, context.now
    log = MailLog(frozenset(unknown_messages(shop, campaign)))
    for path in mail_logs:
        log.read(path)
    with shop.store.begin() as connection:
        by_receipts = settle_by_receipts(connection, campaign)
        of_campaign = (MESSAGES.c.campaign == campaign, MESSAGES.c.state == MessageState.UNKNOWN)
        unknown = set(connection.scalars(sa.select(MESSAGES.c.message_id).where(*of_campaign)))
        taken = sorted(log.taken & unknown)
        update_messages(connection, [{"message_id": one, "state": MessageState.SENT, "reason": ""} for one in taken])
        for one in taken:
            details = {"campaign": campaign, "message_id": one, "is_sent": True, "source": "mail_log"}
            audit_log.append(shop, connection, AuditAction.MESSAGE_SETTLED, details, at=now, by=context.by)
    receive_receipts(shop, [_bounce(one, log.returned[one], now) for one in taken if one in log.returned], now=now)
    if by_receipts or taken:
        load_message_events(shop, campaign, now=now)
    return SettledCounts(by_receipts, len(taken))


def _bounce(message_id: str, code: str, at: datetime) -> Receipt:
    return Receipt(message_id, BOUNCED, at, is_permanent=is_permanent(code), detail=code)


def unknown_messages(shop: Shop, campaign: str) -> list[str]:
    """Ids of messages of unknown outcome of a campaign or journey, oldest first; e-mail has them in its Message-ID.

    Raises NotFound.
    """
    _may_be_sent(shop, campaign)
    chosen = sa.select(MESSAGES.c.message_id).where(
        MESSAGES.c.campaign == campaign, MESSAGES.c.state == MessageState.UNKNOWN
    )
    with shop.store.begin() as connection:
        return list(connection.scalars(chosen.order_by(MESSAGES.c.sent_at, MESSAGES.c.message_id)))


def _may_be_sent(shop: Shop, name: str) -> bool:
    """Whether a message that was not sent still may be: of a campaign that goes on. Raises NotFound."""
    if any(one.name == name for one in JOURNEY.all_saved_in(shop.store)):
        return False
    return CAMPAIGN.saved_in(shop.store, name).state in {APPROVED, RUNNING, PAUSED}
