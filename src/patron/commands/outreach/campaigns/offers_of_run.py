"""Offers that a nightly run decided on and a campaign sends: who gets which, and who has them from when on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from patron.commands.offers.withdraw_offers import RUN_NO_OFFER, SEE_DECISION_LIST, take_from_outbox
from patron.engage.outbox_offers import OFFERS, release_offers, remove_offers
from patron.govern.access.request_context import RequestContext
from patron.offer_delivery import settle_deliveries
from patron.schema.errors import BadCampaign, NotFound
from patron.schema.sentences import Sentence
from patron.storage.engine import literal, sql_list
from patron.storage.models.model_decisions import utc
from patron.storage.offers.deliveries import Delivery, DeliveryState, delivery_of, write_delivery
from patron.storage.offers.delivery_tables import DELIVERIES
from patron.storage.outreach.campaign_file import Campaign
from patron.storage.outreach.versioned_drafts import SAVE_OTHER_NAME, SavedVersion
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import RUNS
from patron.storage.workspace.run_files import drop_outbox_files

RUN_NOT_RESERVED = Sentence("run_not_reserved", "the offers of the run {run} cannot be sent: {state}")
RUN_WITHOUT_OFFERS = Sentence("run_without_offers", "it handed over none")
RUN_STATES = {
    DeliveryState.CONFIRMED: Sentence("run_state_confirmed", "they were sent already"),
    DeliveryState.EXPIRED: Sentence("run_state_expired", "nobody confirmed them in time, so that they expired"),
    DeliveryState.WITHDRAWN: Sentence("run_state_withdrawn", "they were withdrawn"),
    DeliveryState.HELD: Sentence("run_state_held", "sending was held when the run ended"),
    DeliveryState.CAMPAIGN: Sentence("run_state_campaign", "another campaign sends them"),
}
RUN_DECIDED_AGAIN = Sentence("run_decided_again", "the run {run} decided again since {name!r} was planned")
PLAN_IT_AGAIN = Sentence("plan_it_again", "Plan it again, and look at what that changes.")
RUN_GIVEN = Sentence("run_given", "{name!r} sends the offers of the run {run}, which no other campaign can do any more")
CHOOSE_OTHER_RUN = Sentence("choose_other_run", "Choose the run whose offers wait: `patron outbox list` shows them.")


@dataclass(frozen=True)
class OffersOfRun:
    """What a campaign would send of a run's offers."""

    run_id: str
    as_of: datetime
    offers: tuple[str, ...]
    """Ids of those that somebody gets."""
    customer_count: int
    cost_cents: float
    """Expected."""


def offers_of_run(shop: Shop, run_id: str) -> OffersOfRun:
    """The offers that a run handed over, whatever became of them. Raises NotFound for a run without any, NoRunYet."""
    rows = (
        last_run(shop)
        .query(f"""
select action, min(as_of) as as_of, count(*) as customer_count, sum(cost_cents) as cost_cents from decisions
where run_id = {literal(run_id)} and action <> 'none' group by action order by action""")
        .to_pylist()
    )
    if not rows:
        raise NotFound(RUN_NO_OFFER(run=run_id), where="run", todo=SEE_DECISION_LIST)
    count, cost = (sum(row[name] for row in rows) for name in ("customer_count", "cost_cents"))
    return OffersOfRun(run_id, rows[0]["as_of"], tuple(row["action"] for row in rows), count, cost)


def decided_offers(snapshot: Snapshot, run_id: str, offers: Sequence[str]) -> pa.Table:
    """Who a run gives one of some offers (`customer_id`, `action`), in order of customer_id; its holdout gets none."""
    return snapshot.query(
        "select customer_id, action from decisions"
        f" where run_id = {literal(run_id)} and action in {sql_list(tuple(offers))} order by customer_id"
    )


def require_reserved(shop: Shop, run_id: str, name: str = "") -> Delivery:
    """The delivery of a run whose offers a campaign, or a new one, is to send. Raises BadCampaign where it cannot."""
    known = delivery_of(shop.store, run_id)
    if known is None:
        raise BadCampaign(RUN_NOT_RESERVED(run=run_id, state=RUN_WITHOUT_OFFERS), where="run", todo=SEE_DECISION_LIST)
    if known.state is not DeliveryState.RESERVED and known.campaign != (name or None):
        what = RUN_NOT_RESERVED(run=run_id, state=RUN_STATES[known.state])
        raise BadCampaign(what, where="run", todo=CHOOSE_OTHER_RUN)
    return known


def require_run_kept(connection: sa.Connection, campaign: Campaign) -> None:
    """Raise BadCampaign for a version that sends anything but the offers of the run that the campaign was given."""
    table = DELIVERIES.c
    given = connection.scalar(sa.select(table.run_id).where(table.campaign == campaign.name))
    if given is not None and given != campaign.run:
        raise BadCampaign(RUN_GIVEN(run=given, name=campaign.name), where="run", todo=SAVE_OTHER_NAME)


@contextmanager
def taken_over(context: RequestContext, saved: SavedVersion[Any]) -> Iterator[Callable[[sa.Connection], None]]:
    """What gives a run's offers to the campaign that is approved to send them; their file leaves the outbox for good.

    What it yields is called in the transaction of the approval. Of a campaign or a journey without a run it does
    nothing. Raises BadCampaign for offers that are not to be sent by it, WorkspaceError where the mail system has their
    file, WorkspaceBusy.
    """
    campaign, shop = saved.content, context.shop
    if not isinstance(campaign, Campaign) or not campaign.run:
        yield lambda _: None
        return
    folder = shop.folder / "outbox" / campaign.run
    with shop.run_lock():
        settle_deliveries(shop, now=context.now)
        known = require_reserved(shop, campaign.run, campaign.name)
        _require_not_decided_again(shop, saved)
        if known.state is DeliveryState.RESERVED:
            take_from_outbox(folder, campaign.run)

        def give(connection: sa.Connection) -> None:
            state = {"state": DeliveryState.CAMPAIGN, "campaign": campaign.name}
            write_delivery(connection, replace(known, **state, changed_at=context.now, changed_by=context.by))
            drop_outbox_files(connection, run_id=campaign.run, pattern=OFFERS)

        try:
            yield give
        except BaseException:
            if delivery_of(shop.store, campaign.run) == known:  # why: the approval may have counted all the same
                release_offers(folder)
            raise
        remove_offers(folder)


def _require_not_decided_again(shop: Shop, saved: SavedVersion[Campaign]) -> None:
    """Raise BadCampaign where the run was repeated since the campaign was planned."""
    plan, run_id = saved.last("planned"), saved.content.run
    with shop.store.begin() as connection:
        finished_at = connection.scalar(sa.select(RUNS.c.finished_at).where(RUNS.c.run_id == run_id))
    if plan and finished_at and utc(finished_at) > plan.taken_at:
        what = RUN_DECIDED_AGAIN(run=run_id, name=saved.name)
        raise BadCampaign(what, where="run", todo=PLAN_IT_AGAIN)
