"""Offers that a nightly run decided on and a campaign sends: who gets which, who is held out, and who has them then."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from patron.commands.offers.withdraw_offers import RUN_NO_OFFER, SEE_DECISION_LIST, take_from_outbox
from patron.engage.outbox_offers import OFFERS, remove_offers
from patron.govern.access.request_context import RequestContext
from patron.offer_delivery import settle_deliveries
from patron.schema.errors import BadCampaign, NotFound
from patron.schema.sentences import Sentence
from patron.storage.engine import literal, sql_list
from patron.storage.offers.deliveries import Delivery, DeliveryState, delivery_of, write_delivery
from patron.storage.outreach.campaign_file import Campaign
from patron.storage.outreach.versioned_drafts import SavedVersion
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop, Snapshot
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
    """Who a run gives one of some offers, and of its holdout who would have got one, in order of customer_id.

    Columns: customer_id, action, is_holdout. The holdout is selected at the run's price of the budget.
    """
    run, listed = literal(run_id), sql_list(tuple(offers))
    return snapshot.query(f"""
with held_out as (
  select a.customer_id, a.action, a.effect_cents - (1 + coalesce(d.budget_price, 0)) * a.cost_cents as worth_cents
  from decisions d join alternatives a on a.decision_id = d.decision_id
  where d.run_id = {run} and a.run_id = {run} and d.is_holdout and a.action in {listed}),
ranked as (
  select customer_id, action, worth_cents,
    row_number() over (partition by customer_id order by worth_cents desc, action) as place from held_out)
select customer_id, action, false as is_holdout from decisions where run_id = {run} and action in {listed}
union all select customer_id, action, true as is_holdout from ranked where place = 1 and worth_cents > 0
order by customer_id""")


def require_reserved(shop: Shop, campaign: Campaign) -> Delivery:
    """The delivery of the run whose offers a campaign sends. Raises BadCampaign where they are not to be sent by it."""
    known = delivery_of(shop.store, campaign.run)
    if known is None:
        what = RUN_NOT_RESERVED(run=campaign.run, state=RUN_WITHOUT_OFFERS)
        raise BadCampaign(what, where="run", todo=SEE_DECISION_LIST)
    if known.state is not DeliveryState.RESERVED and known.campaign != campaign.name:
        what = RUN_NOT_RESERVED(run=campaign.run, state=RUN_STATES[known.state])
        raise BadCampaign(what, where="run", todo=CHOOSE_OTHER_RUN)
    return known


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
        known = require_reserved(shop, campaign)
        if known.state is DeliveryState.RESERVED:
            take_from_outbox(folder, campaign.run)

        def give(connection: sa.Connection) -> None:
            state = {"state": DeliveryState.CAMPAIGN, "campaign": campaign.name}
            write_delivery(connection, replace(known, **state, changed_at=context.now, changed_by=context.by))
            drop_outbox_files(connection, run_id=campaign.run, pattern=OFFERS)

        yield give
        remove_offers(folder)
