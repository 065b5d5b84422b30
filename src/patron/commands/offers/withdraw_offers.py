"""Withdraw the offers of a run before they are sent: from then on they count nowhere."""

from datetime import datetime
from pathlib import Path

from patron.engage.outbox_offers import (
    OFFERS,
    SENT,
    has_offers,
    hold_back_offers,
    is_sent,
    release_offers,
    remove_offers,
)
from patron.govern.access import audit_log
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import NEEDS_NAME, NO_DECIDING_RUN, ONE_LINE_NO_PERSONAL
from patron.schema.errors import NotFound, SettingsError, WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.engine import literal
from patron.storage.offers.deliveries import Delivery, DeliveryState, delivery_of, write_delivery
from patron.storage.shop import Shop
from patron.storage.workspace.run_files import drop_outbox_files

OFFERS_NOT_IN_OUTBOX = Sentence(
    "offers_not_in_outbox", "the offers of the run {run} are not in the outbox and may have been sent"
)
EMPTY_OFFERS_FILE = Sentence(
    "empty_offers_file", "If nobody was sent an offer, put an empty file offers_file.csv there, then withdraw them."
)

OFFERS_SENT = Sentence("offers_sent", "the offers of the run {run} were sent: the mail system left a file named {name}")
OFFERS_OF_CAMPAIGN = Sentence("offers_of_campaign", "the campaign {name!r} sends the offers of the run {run}")
WITHDRAW_CAMPAIGN = Sentence("withdraw_campaign", "Withdraw the campaign; what it has sent stays on record.")
OFFERS_CONFIRMED_BY = Sentence("offers_confirmed_by", "the offers of the run {run} were sent, as {name} confirmed")
EXPIRED_ALREADY = Sentence("expired_already", "the offers of the run {run} expired, and count nowhere already")
OFFERS_CANCEL = Sentence(
    "offers_cancel",
    "Offers that were sent cannot be withdrawn. Ask the mail system to cancel what it has not sent yet.",
)
RUN_NO_OFFER = Sentence("run_no_offer", "the run {run} decided on no offer")
SEE_DECISION_LIST = Sentence("see_decision_list", "See `patron decisions list`.")
NOTHING_TO_WITHDRAW = Sentence("nothing_to_withdraw", "There is nothing to withdraw.")

MAX_CHARACTERS = 300


def withdraw_offers(shop: Shop, run_id: str, *, name: str, reason: str = "", now: datetime) -> Delivery:
    """Withdraw the offers of a run. Withdrawing them again changes nothing, and finishes what was interrupted.

    The offers are renamed first, so that no mail system can take them; then the withdrawal is recorded; then they are
    deleted. Cut off before the record, the run's offers wait under another name and still use up the budget.
    Raises NotFound, SettingsError without a name, WorkspaceError for offers that may have been sent, WorkspaceBusy.
    """
    person, why = require_line(name, "--as"), require_line(reason, "--reason") if reason else ""
    with shop.run_lock():
        known, folder = delivery_of(shop.store, run_id), shop.folder / "outbox" / run_id
        if known is not None and known.is_withdrawn:
            withdrawal = known
        else:
            _require_offers(shop, run_id)
            _require_unsettled(known, folder)
            take_from_outbox(folder, run_id)
            until = known.reserved_until if known else None
            withdrawal = Delivery(run_id, DeliveryState.WITHDRAWN, until, changed_at=now, changed_by=person, reason=why)
            with shop.store.begin() as connection:
                write_delivery(connection, withdrawal)
                drop_outbox_files(connection, run_id=run_id, pattern=OFFERS)
                audit_log.append(
                    shop,
                    connection,
                    AuditAction.OFFERS_WITHDRAWN,
                    {"run_id": run_id},
                    at=now,
                    by=person,
                )
        remove_offers(folder)
    return withdrawal


def _require_offers(shop: Shop, run_id: str) -> None:
    """Raise NotFound for a run that decided nothing, or no offer."""
    rows = shop.newest_snapshot().query(
        f"select count(*) as n, count(case when action <> 'none' then 1 end) as offers from decisions"
        f" where run_id = {literal(run_id)}"
    )
    if not rows["n"][0].as_py():
        raise NotFound(NO_DECIDING_RUN(run=run_id), where="RUN", todo=SEE_DECISION_LIST)
    if not rows["offers"][0].as_py():
        raise NotFound(RUN_NO_OFFER(run=run_id), where="RUN", todo=NOTHING_TO_WITHDRAW)


def _require_unsettled(known: Delivery | None, folder: Path) -> None:
    """Raise WorkspaceError for offers that somebody confirmed, and for those that expired."""
    if known is not None and known.state is DeliveryState.EXPIRED:
        raise WorkspaceError(EXPIRED_ALREADY(run=known.run_id), where=str(folder), todo=NOTHING_TO_WITHDRAW)
    if known is not None and known.campaign:
        what = OFFERS_OF_CAMPAIGN(name=known.campaign, run=known.run_id)
        raise WorkspaceError(what, where=str(folder), todo=WITHDRAW_CAMPAIGN)
    if known is not None and known.is_certain and not is_sent(folder):
        what = OFFERS_CONFIRMED_BY(run=known.run_id, name=known.changed_by or SENT)
        raise WorkspaceError(what, where=str(folder), todo=OFFERS_CANCEL)


def take_from_outbox(folder: Path, run_id: str) -> None:
    """Hold the offers of a run back. Raises WorkspaceError for offers that were sent, or may have been."""
    if not is_sent(folder) and has_offers(folder):
        hold_back_offers(folder)
        if not is_sent(folder):
            return
        release_offers(folder)
    if is_sent(folder):
        what = OFFERS_SENT(run=run_id, name=SENT)
        todo = OFFERS_CANCEL
    else:
        what = OFFERS_NOT_IN_OUTBOX(run=run_id)
        todo = EMPTY_OFFERS_FILE
    raise WorkspaceError(what, where=str(folder), todo=todo)


def require_line(text: str, where: str) -> str:
    """A line that a person wrote. Raises SettingsError for an empty or too long one."""
    line = text.strip()
    if not line or not line.isprintable() or len(line) > MAX_CHARACTERS:
        what = NEEDS_NAME(count=MAX_CHARACTERS)
        raise SettingsError(what, where=where, todo=ONE_LINE_NO_PERSONAL)
    return line
