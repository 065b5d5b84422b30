"""What the policy leaves for a campaign: its offers, what is left of the period's budget, and of each offer's stock."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.commands.outreach.campaigns.campaign_steps import require_known
from patron.decide.campaign_selection import message_alone
from patron.decide.candidates import issued_query
from patron.decide.eligibility import Supply
from patron.decide.evidence import Evidence, read_evidence
from patron.schema.common_sentences import NO_OFFER
from patron.schema.outreach.message_states import MessageState
from patron.schema.sentences import Sentence
from patron.storage.offers.budget_period import Period, budget_period, spent_query
from patron.storage.offers.offer_rules import OfferRules
from patron.storage.offers.policy import Policy
from patron.storage.offers.withdrawals import undelivered_runs
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.campaign_offers import campaigns_spent_cents, offers_issued
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, MESSAGES
from patron.storage.outreach.versioned_drafts import APPROVED, PAUSED, PLANNED, RUNNING
from patron.storage.shop import Shop, Snapshot
from patron.storage.workspace.workspace_files import OFFER_RULES_FILE

ITS_OFFERS = Sentence("its_offers", "Its offers are {offers}.")

RESERVED = (PLANNED, APPROVED, RUNNING, PAUSED)
"""States of campaigns whose plan takes of the period's budget; of every campaign what was sent does."""
ALL_RUNS = ""
"""No run has this name: nothing is left out."""


@dataclass(frozen=True)
class PeriodBudget:
    """What the policy's budget of the period leaves, cents."""

    period: Period
    amount_cents: float
    spent_cents: float
    """Expected cost in the period: decisions of runs, what campaigns sent, and what other campaigns plan to send."""

    @property
    def left_cents(self) -> float:
        """What is left; never below 0."""
        return max(self.amount_cents - self.spent_cents, 0.0)


def campaign_policy(policy: Policy, campaign: Campaign) -> Policy:
    """The policy with the campaign's offers and channel, and last the message alone. Raises BadCampaign."""
    by_id = {offer.id: offer for offer in policy.offers}
    names = [("offers", name) for name in campaign.offers]
    require_known(CAMPAIGN, NO_OFFER, names, by_id, ITS_OFFERS(offers=", ".join(by_id) or "none"))
    offers = (*(by_id[name] for name in dict.fromkeys(campaign.offers)), message_alone(policy, campaign.window.days))
    channel = policy.channel.model_copy(update={"name": campaign.channel})
    return policy.model_copy(update={"offers": offers, "channel": channel})


def evidence_of(shop: Shop, snapshot: Snapshot) -> Evidence:
    """What runs measured, and what experts assume."""
    rules = OfferRules.load(shop.folder / OFFER_RULES_FILE, shop.policy.offers)
    return read_evidence(snapshot.query, margin_share=shop.settings.shop.margin_share, rules=rules)


def supply_of(shop: Shop, snapshot: Snapshot, period: Period, day: date) -> Supply:
    """The campaign's first day, and how many of each offer runs and campaigns gave in the period of the budget."""
    issued = snapshot.query(issued_query(ALL_RUNS, period.since, period.until)).to_pylist()
    counts = Counter({row["action"]: row["offer_count"] for row in issued})
    counts.update(offers_issued(shop.store, period.since, period.until))
    return Supply(day, counts)


def period_budget(shop: Shop, snapshot: Snapshot, campaign: Campaign) -> PeriodBudget:
    """The policy's budget of the period in which the campaign starts, less what runs and campaigns take of it."""
    zone = shop.settings.shop.time_zone
    period = budget_period(campaign.start_at(ZoneInfo(zone)), shop.policy.budget.period, zone)
    of_runs = snapshot.query(spent_query(period, without=[ALL_RUNS, *undelivered_runs(shop.store)]))
    sent = campaigns_spent_cents(shop.store, period.since, period.until)
    to_send = _reserved_cents(shop, campaign.name, period.since, period.until)
    return PeriodBudget(period, float(shop.policy.budget.cents), of_runs["cents"][0].as_py() + sent + to_send)


def _reserved_cents(shop: Shop, name: str, since: datetime, until: datetime) -> float:
    """Expected cost of what other campaigns plan to send within a period, and did not yet."""
    reserved = [one.name for one in CAMPAIGN.all_saved_in(shop.store) if one.state in RESERVED]
    table, message = ASSIGNMENTS.c, MESSAGES.c
    is_settled = sa.exists().where(
        message.campaign == table.campaign,
        message.customer_id == table.customer_id,
        message.state != MessageState.WAITING,
    )
    chosen = sa.select(sa.func.sum(table.expected_cost_cents)).where(
        *(table.campaign != name, table.campaign.in_(reserved), table.is_planned, ~is_settled),
        *(table.send_at >= since, table.send_at < until),
    )
    with shop.store.begin() as connection:
        return float(connection.scalar(chosen) or 0.0)
