"""One campaign played through on a simulated shop, whose customers answer offers and whose truth is known."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from patron.commands.data.simulated_loop import OFFERS, ingest_events
from patron.commands.offers.dry_run_policy import REMINDER_SHARE, simulated_offer
from patron.commands.outreach.campaigns.campaign_steps import approve
from patron.commands.outreach.campaigns.measure_campaign import CampaignResult, measure_campaign
from patron.commands.outreach.campaigns.plan_campaign import CampaignPlan, plan_campaign
from patron.commands.outreach.campaigns.save_campaign import save_campaign
from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.engage.channels.channel import Handover, Outcome, OutgoingMessage
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.run import run_loop
from patron.schema.outreach.channels.channel_description import EMAIL_ADDRESS, AddressKind
from patron.schema.outreach.message_states import MessageState
from patron.schema.progress import Progress
from patron.simulate.ground_truth import truth
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP, Offer, SimulatorSettings
from patron.storage.models.model_decisions import utc
from patron.storage.offers.policy import Policy
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop

RunAt = Callable[[Shop, datetime], object]
AUTHOR, APPROVER = "author", "approver"
REMINDER = "REMINDER"
"""What a message without an offer is to simulated customers."""
BETWEEN_LOOKS = timedelta(hours=1)
FOR_CAMPAIGNS = {
    "consent": {"unknown": "allow"},
    "at_risk": {"lifecycle_stages": ()},
    "holdout": {"share": 0.0},
    "fairness": {},
    "models": {"retrain_days": 365},
    "recommendations": {"ranking": "counts"},
}
"""What differs from the policy's file: customers may be contacted, and the nightly run offers nothing by itself."""


@dataclass(frozen=True)
class PlayedCampaign:
    """A campaign that was played through: what was forecast, what was measured, what is true; cents."""

    plan: CampaignPlan
    result: CampaignResult
    truth_cents: float
    """True expected effect per customer whom the plan writes to, net of sending; who was skipped counts with none."""
    truth_total_cents: float


@dataclass(frozen=True)
class SimulatedChannel:
    """Takes every message, and reaches everybody at once."""

    name: str
    address_kind: AddressKind = EMAIL_ADDRESS

    async def hand_over(self, messages: Iterable[OutgoingMessage]) -> AsyncIterator[Handover]:
        """Take messages; raises nothing."""
        for message in messages:
            yield Handover(message.message_id, Outcome.SENT)


def simulated_policy(policy: Policy) -> Policy:
    """The policy of a shop that only campaigns write for. Raises nothing that its file did not."""
    return Policy.model_validate(policy.model_dump(exclude_unset=True) | FOR_CAMPAIGNS)


def simulated_settings(policy: Policy, customers: int, margin_share: float) -> SimulatorSettings:
    """A shop of so many customers, with the policy's offers and a message without one."""
    offers = (*(simulated_offer(offer) for offer in policy.offers), Offer(REMINDER, attention_share=REMINDER_SHARE))
    return replace(DEFAULT_SHOP, customers=customers, margin_share=margin_share, offers=offers)


def play_campaign(
    shop: Shop, world: ShopSimulator, campaign: Campaign, *, progress: Progress, run: RunAt = run_loop
) -> PlayedCampaign:
    """Play a campaign from the world's present on; its last run must be of now. Start and end are moved there.

    It is planned, approved, sent, and measured by a run at its end; `run` makes it, for studies that need no
    forecasts. Raises NotFound, BadSegment, BadCampaign.
    """
    now = world.now
    start = datetime.combine(now.date(), campaign.start.time())
    moved = campaign.model_copy(update={"start": start, "end": start + campaign.window})
    save_campaign(RequestContext.from_name(shop, AUTHOR, now=now), moved)
    progress("planning", 0, None)
    plan = plan_campaign(RequestContext.from_name(shop, AUTHOR, now=now), moved.name)
    approve(RequestContext.from_name(shop, APPROVER, now=now), CAMPAIGN, moved.name)
    _send(shop, moved)
    offers = sent_offers(shop, moved.name)
    until = datetime.combine((moved.end + timedelta(days=1)).date(), datetime.min.time(), UTC)
    days = max((until - now).days - 2, 1)  # why: an offer acts from the day after it was sent
    true_cents = _true_effect(world, offers, days)
    ingest_events(shop, world.advance(until, offers), received_at=until)
    progress("running the loop at its end", 0, None)
    run(shop, until)
    result = measure_campaign(RequestContext.from_name(shop, AUTHOR, now=until), moved.name)
    total = true_cents - result.spend.sending_cents
    return PlayedCampaign(plan, result, total / max(plan.message_count, 1), total)


def _send(shop: Shop, campaign: Campaign) -> None:
    """Send the campaign to its end, as a shop does that looks every hour for what is due."""
    channel, due_at = SimulatedChannel(campaign.channel), campaign.start_at(ZoneInfo(shop.settings.shop.time_zone))
    while due_at is not None:
        at = due_at.astimezone(UTC)
        due_at = send_campaign(
            RequestContext.from_name(shop, AUTHOR, now=at), campaign.name, channel=channel
        ).next_due_at
        due_at = due_at and max(due_at, at + BETWEEN_LOOKS)


def sent_offers(shop: Shop, name: str) -> pa.Table:
    """What was sent of a campaign, as what simulated customers are offered; the message alone is an offer, too."""
    table = MESSAGES.c
    chosen = sa.select(table.customer_id, table.offer, table.message_id, table.sent_at)
    chosen = chosen.where(table.campaign == name, table.state == MessageState.SENT).order_by(table.customer_id)
    users = _user_ids(shop)
    with shop.store.begin() as connection:
        sent = [row for row in connection.execute(chosen) if row[0] in users]
    columns = {
        "user_id": [users[row[0]] for row in sent],
        "offer_id": [row[1] or REMINDER for row in sent],
        "decision_id": [row[2] for row in sent],
        "exposed_at": [utc(row[3]) for row in sent],
    }
    return pa.table(columns, schema=OFFERS)


def _user_ids(shop: Shop) -> dict[str, str]:
    """The shop's own id of each customer."""
    rows = last_run(shop).query(
        "select customer_id, min(token) as token from identities where is_user group by customer_id order by 1"
    )
    tokens = rows["token"].to_pylist()
    ids = Vault.open(shop).reveal(tokens)
    return {customer: user for customer, user in zip(rows["customer_id"].to_pylist(), ids, strict=True) if user}


def _true_effect(world: ShopSimulator, offers: pa.Table, days: int) -> float:
    """True expected extra margin of these offers in the window, in all, cents."""
    known = truth(world, window_days=days)
    at = pc.index_in(offers["user_id"].combine_chunks(), known["user_id"].combine_chunks()).to_numpy()
    names = np.array(offers["offer_id"].to_pylist(), dtype=np.str_)
    effect = np.zeros(len(names))
    for name in np.unique(names).tolist():
        effect = np.where(names == name, known[f"uplift_{name}_cents"].to_numpy()[at], effect)
    return float(effect.sum())
