"""One campaign played through on a simulated shop, whose customers answer offers and whose truth is known."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from patron.commands.campaign_steps import approve
from patron.commands.dry_run_policy import REMINDER_SHARE, simulated_offer
from patron.commands.measure_campaign import CampaignResult, measure_campaign
from patron.commands.plan_campaign import CampaignPlan, plan_campaign
from patron.commands.save_campaign import save_campaign
from patron.commands.simulated_loop import OFFERS, ingest_events
from patron.govern.vault import Vault
from patron.run import Progress, run_loop
from patron.simulate.ground_truth import truth
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP, Offer, SimulatorSettings
from patron.storage.campaign_file import Campaign
from patron.storage.campaign_tables import ASSIGNMENTS, MESSAGES
from patron.storage.campaigns import take_step
from patron.storage.last_run import last_run
from patron.storage.model_decisions import utc
from patron.storage.policy import Policy
from patron.storage.shop import Shop

RunAt = Callable[[Shop, datetime], object]
AUTHOR, APPROVER = "author", "approver"
REMINDER = "REMINDER"
"""What a message without an offer is to simulated customers."""
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
    """True expected effect per customer who was written to, net of sending."""
    truth_total_cents: float


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

    It is planned, approved, delivered, and measured by a run at its end; `run` makes it, for studies that need no
    forecasts. Raises NotFound, BadSegment, BadCampaign.
    """
    now = world.now
    start = datetime.combine(now.date(), campaign.start.time())
    moved = campaign.model_copy(update={"start": start, "end": start + campaign.window})
    saved = save_campaign(shop, moved, by=AUTHOR, now=now)
    progress("planning", 0, None)
    plan = plan_campaign(shop, moved.name, by=AUTHOR, now=now)
    approve(shop, moved.name, by=APPROVER, now=now)
    offers = _deliver(shop, moved.name, saved.version, now=now)
    until = datetime.combine((moved.end + timedelta(days=1)).date(), datetime.min.time(), UTC)
    days = max((until - now).days - 2, 1)  # why: an offer acts from the day after it was sent
    true_cents = _true_effect(world, offers, days)
    ingest_events(shop, world.advance(until, offers), received_at=until)
    progress("running the loop at its end", 0, None)
    run(shop, until)
    result = measure_campaign(shop, moved.name, by=AUTHOR, now=until)
    sending = result.spend.sending_cents / max(plan.message_count, 1)
    effect = true_cents - sending
    return PlayedCampaign(plan, result, effect, effect * plan.message_count)


def _deliver(shop: Shop, name: str, version: int, *, now: datetime) -> pa.Table:
    """Deliver the plan's messages as they are due; returns them as the simulated shop's exposures."""
    table = ASSIGNMENTS.c
    chosen = sa.select(table.customer_id, table.offer, table.send_at).where(table.campaign == name, table.is_planned)
    with shop.store.begin() as connection:
        rows = connection.execute(chosen.order_by(table.customer_id)).all()
        take_step(connection, name, "started", version, AUTHOR, now)
        connection.execute(sa.insert(MESSAGES), [_message(name, *row, now=now) for row in rows])
        take_step(connection, name, "ended", version, AUTHOR, now)
    users = _user_ids(shop)
    sent = [row for row in rows if row[0] in users]
    columns = {
        "user_id": [users[row[0]] for row in sent],
        "offer_id": [row[1] or REMINDER for row in sent],
        "decision_id": [_message_id(name, row[0]) for row in sent],
        "exposed_at": [utc(row[2]) for row in sent],
    }
    return pa.table(columns, schema=OFFERS)


def _message(name: str, customer: str, offer: str, send_at: datetime, *, now: datetime) -> dict[str, object]:
    return {
        "message_id": _message_id(name, customer),
        "campaign": name,
        "customer_id": customer,
        "channel": "simulated",
        "topic": "",
        "state": "sent",
        "reason": "",
        "offer": offer,
        "consent_basis": "unknown_allowed",
        "attempt_count": 1,
        "written_at": now,
        "sent_at": send_at,
    }


def _message_id(name: str, customer: str) -> str:
    return sha256(f"{name}/{customer}/simulated".encode()).hexdigest()[:32]


def _user_ids(shop: Shop) -> dict[str, str]:
    """The shop's own id of each customer."""
    rows = last_run(shop).query(
        "select customer_id, min(token) as token from identities where is_user group by customer_id order by 1"
    )
    tokens = rows["token"].to_pylist()
    ids = Vault.open(shop).reveal(tokens)
    return {customer: user for customer, user in zip(rows["customer_id"].to_pylist(), ids, strict=True) if user}


def _true_effect(world: ShopSimulator, offers: pa.Table, days: int) -> float:
    """Mean of the true expected extra margin of these offers in the window, cents."""
    known = truth(world, window_days=days)
    at = pc.index_in(offers["user_id"].combine_chunks(), known["user_id"].combine_chunks()).to_numpy()
    names = np.array(offers["offer_id"].to_pylist(), dtype=np.str_)
    effect = np.zeros(len(names))
    for name in np.unique(names).tolist():
        effect = np.where(names == name, known[f"uplift_{name}_cents"].to_numpy()[at], effect)
    return float(effect.mean()) if len(effect) else 0.0
