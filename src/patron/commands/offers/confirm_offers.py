"""Confirm that the offers of a run were sent: from then on they count as what customers had."""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from pydantic import AwareDatetime, Field

from patron.commands.offers.withdraw_offers import OFFERS_OF_CAMPAIGN, SEE_DECISION_LIST, require_line
from patron.engage.outbox_offers import SENT
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.offer_delivery import confirm_delivery, settle_deliveries
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import NotFound, WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.offers.deliveries import Delivery, DeliveryState, Evidence, delivery_of
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS

CONFIRMED_BY = Sentence("confirmed_by", "{name} confirmed on {day} that the offers of the run {run} were sent")
CONFIRMED_BY_RECEIPT = Sentence(
    "confirmed_by_receipt", "the offers of the run {run} count as sent: the mail system left a file named {name}"
)
CONFIRMED_BY_POLICY = Sentence(
    "confirmed_by_policy", "the offers of the run {run} count as sent since they were handed over, as policy.toml says"
)
NOTHING_TO_CONFIRM = Sentence("nothing_to_confirm", "There is nothing to confirm.")
OFFERS_WITHDRAWN_BY = Sentence(
    "offers_withdrawn_by", "{name} withdrew the offers of the run {run} on {day}, so that they count nowhere"
)
TELL_WHO_WITHDREW = Sentence("tell_who_withdrew", "If they were sent all the same, tell {name}.")
OFFERS_EXPIRED_ON = Sentence(
    "offers_expired_on",
    "the offers of the run {run} expired on {day}: nobody had confirmed them, so their file was deleted",
)
SAY_WHEN_SENT = Sentence(
    "say_when_sent", "If they were sent before that, say when: --sent-at on the command line, sent_at in the API."
)
NO_OFFERS_HANDED_OVER = Sentence("no_offers_handed_over", "no run {run!r} has handed over offers")
SENT_AT_BOUNDS = Sentence("sent_at_bounds", "the offers of the run {run} cannot have been sent at {time}")
NAME_TIME_BETWEEN = Sentence("name_time_between", "Name a time from {first} to {last}, with its time zone.")

SentAt = Annotated[AwareDatetime | None, Field(description="when they were sent, with a time zone; without it, now")]


@operation(
    Right(Action.ACT, Area.OFFERS),
    "POST /api/decisions/runs/{run_id}/confirmation",
    audit=AuditAction.OFFERS_CONFIRMED,
    name_field="by",
)
def confirm_offers(context: RequestContext, run_id: str, sent_at: SentAt = None) -> Delivery:
    """Confirm that the offers of a run were sent.

    Raises NotFound for a run that handed over none, WorkspaceError for offers that are confirmed already, were
    withdrawn, or expired and are not said to have been sent before that, WorkspaceBusy.
    """
    shop, by = context.shop, require_line(context.by, "by")
    with shop.run_lock():
        settle_deliveries(shop, now=context.now)  # why: a receipt and the deadline come before what people say
        known = delivery_of(shop.store, run_id)
        if known is None:
            raise NotFound(NO_OFFERS_HANDED_OVER(run=run_id), where="RUN", todo=SEE_DECISION_LIST)
        _require_unsettled(shop, known, sent_at)
        at = (sent_at or context.now).astimezone(UTC)
        _require_possible(shop, known, at, context.now)
        return confirm_delivery(shop, known, Evidence.PERSON, sent_at=at, now=context.now, by=by)


def _require_unsettled(shop: Shop, known: Delivery, sent_at: datetime | None) -> None:
    """Raise WorkspaceError for offers of which nothing is to be confirmed any more."""
    run, day = known.run_id, _text(shop, known.changed_at)[:10]
    what = None
    todo = NOTHING_TO_CONFIRM()
    if known.evidence is Evidence.PERSON:
        what = CONFIRMED_BY(name=known.changed_by, day=day, run=run)
    elif known.evidence is Evidence.RECEIPT:
        what = CONFIRMED_BY_RECEIPT(run=run, name=SENT)
    elif known.evidence is Evidence.POLICY:
        what = CONFIRMED_BY_POLICY(run=run)
    elif known.is_withdrawn:
        what, todo = (
            OFFERS_WITHDRAWN_BY(name=known.changed_by, run=run, day=day),
            TELL_WHO_WITHDREW(name=known.changed_by),
        )
    elif known.campaign:
        what = OFFERS_OF_CAMPAIGN(name=known.campaign, run=run)
    elif known.state is DeliveryState.EXPIRED and sent_at is None:
        what, todo = OFFERS_EXPIRED_ON(run=run, day=day), SAY_WHEN_SENT()
    if what is not None:
        raise WorkspaceError(what, where=run, todo=todo)


def _require_possible(shop: Shop, known: Delivery, sent_at: datetime, now: datetime) -> None:
    """Raise WorkspaceError for a time before the run, in the future, or after the offers expired."""
    with shop.store.begin() as connection:
        first = connection.scalar(sa.select(RUNS.c.as_of).where(RUNS.c.run_id == known.run_id))
    expired_at = known.changed_at if known.state is DeliveryState.EXPIRED else None
    first = first.replace(tzinfo=UTC) if first and first.tzinfo is None else first
    last = min(now, expired_at) if expired_at else now
    if (first and sent_at < first) or sent_at > last:
        what = SENT_AT_BOUNDS(run=known.run_id, time=_text(shop, sent_at))
        todo = NAME_TIME_BETWEEN(first=_text(shop, first), last=_text(shop, last))
        raise WorkspaceError(what, where="sent_at", todo=todo)


def _text(shop: Shop, time: datetime | None) -> str:
    """A time by the shop's clock; empty for None."""
    return f"{time.astimezone(ZoneInfo(shop.settings.shop.time_zone)):%Y-%m-%d %H:%M}" if time else ""
