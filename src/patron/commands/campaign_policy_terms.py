"""What the policy leaves for a campaign: its offers, what is left of the period's budget, and of each offer's stock."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.decide.campaign_selection import message_alone
from patron.decide.candidates import effects_query, issued_query
from patron.decide.eligibility import Supply
from patron.decide.expected_value import MeasuredEffect
from patron.decide.selection import Evidence
from patron.schema.errors import BadCampaign
from patron.schema.spelling import did_you_mean
from patron.storage.budget_period import Period, budget_period, spent_query
from patron.storage.campaign_file import Campaign
from patron.storage.campaign_tables import ASSIGNMENTS, MESSAGES
from patron.storage.campaigns import APPROVED, ENDED, MEASURED, PAUSED, PLANNED, RUNNING, campaigns
from patron.storage.offer_rules import OfferRules
from patron.storage.policy import Policy
from patron.storage.shop import Shop, Snapshot
from patron.storage.withdrawals import withdrawn_runs
from patron.storage.workspace_files import OFFER_RULES_FILE

RESERVED = (PLANNED, APPROVED, RUNNING, PAUSED, ENDED, MEASURED)
"""States of campaigns whose plan takes of the period's budget; of a withdrawn one only what was sent does."""
ALL_RUNS = ""
"""No run has this name: nothing is left out."""


@dataclass(frozen=True)
class PeriodBudget:
    """What the policy's budget of the period leaves, cents."""

    period: Period
    amount_cents: float
    spent_cents: float
    """Expected cost of the decisions of runs and of other campaigns in the period."""

    @property
    def left_cents(self) -> float:
        """What is left; never below 0."""
        return max(self.amount_cents - self.spent_cents, 0.0)


def campaign_policy(policy: Policy, campaign: Campaign) -> Policy:
    """The policy with the campaign's offers and channel, and last the message alone. Raises BadCampaign."""
    by_id = {offer.id: offer for offer in policy.offers}
    for name in campaign.offers:
        if name not in by_id:
            meant = did_you_mean(name, by_id) or f"Its offers are {', '.join(by_id) or 'none'}."
            raise BadCampaign(f"policy.toml has no offer {name!r}", where="offers", todo=meant)
    offers = (*(by_id[name] for name in dict.fromkeys(campaign.offers)), message_alone(policy, campaign.window.days))
    channel = policy.channel.model_copy(update={"name": campaign.channel})
    return policy.model_copy(update={"offers": offers, "channel": channel})


def evidence_of(shop: Shop, snapshot: Snapshot) -> Evidence:
    """Effects that runs measured, and what experts assume."""
    effects = {
        (row["offer"], row["stratum"]): MeasuredEffect(row["effect_cents"], row["standard_error"], row["window_share"])
        for row in snapshot.query(effects_query(snapshot.run.run_id)).to_pylist()
    }
    rules = OfferRules.load(shop.folder / OFFER_RULES_FILE, shop.policy.offers)
    return Evidence(effects, margin_share=shop.settings.shop.margin_share, rules=rules)


def supply_of(snapshot: Snapshot, period: Period, day: date) -> Supply:
    """The campaign's first day, and how many of each offer were given in the period of the budget."""
    issued = snapshot.query(issued_query(ALL_RUNS, period.since, period.until)).to_pylist()
    return Supply(day, {row["action"]: row["offer_count"] for row in issued})


def period_budget(shop: Shop, snapshot: Snapshot, campaign: Campaign) -> PeriodBudget:
    """The policy's budget of the period in which the campaign starts, less what runs and other campaigns take of it."""
    zone = shop.settings.shop.time_zone
    period = budget_period(campaign.start_at(ZoneInfo(zone)), shop.policy.budget.period, zone)
    of_runs = snapshot.query(spent_query(period, without=[ALL_RUNS, *withdrawn_runs(shop.store)]))
    of_campaigns = _campaigns_cents(shop, campaign.name, period.since, period.until)
    return PeriodBudget(period, float(shop.policy.budget.cents), of_runs["cents"][0].as_py() + of_campaigns)


def _campaigns_cents(shop: Shop, name: str, since: datetime, until: datetime) -> float:
    """Expected cost of other campaigns within a period."""
    reserved = [one.name for one in campaigns(shop.store) if one.state in RESERVED]
    table, message = ASSIGNMENTS.c, MESSAGES.c
    is_sent = sa.exists().where(
        message.campaign == table.campaign,
        message.customer_id == table.customer_id,
        message.state.in_(("sending", "sent", "unknown")),
    )
    chosen = sa.select(sa.func.sum(table.expected_cost_cents)).where(
        table.campaign != name,
        table.is_planned,
        table.send_at >= since,
        table.send_at < until,
        sa.or_(table.campaign.in_(reserved), is_sent),
    )
    with shop.store.begin() as connection:
        return float(connection.scalar(chosen) or 0.0)
