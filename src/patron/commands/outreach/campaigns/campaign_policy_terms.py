"""What the policy leaves for a campaign: its offers, what is left of the period's budget, and of each offer's stock."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from patron.commands.outreach.campaigns.campaign_steps import require_known
from patron.decide.campaign_selection import message_alone
from patron.decide.eligibility import Supply
from patron.decide.evidence import Evidence, read_evidence
from patron.schema.common_sentences import NO_OFFER
from patron.schema.sentences import Sentence
from patron.storage.offers.budget_period import Period, budget_period
from patron.storage.offers.offer_rules import OfferRules
from patron.storage.offers.offer_usage import issued_offers, spent_cents
from patron.storage.offers.policy import Policy
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.shop import Shop, Snapshot
from patron.storage.workspace.workspace_files import OFFER_RULES_FILE

ITS_OFFERS = Sentence("its_offers", "Its offers are {offers}.")


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


def supply_of(shop: Shop, snapshot: Snapshot, period: Period, campaign: Campaign) -> Supply:
    """The campaign's first day, and how many of each offer runs and others gave in the period of the budget."""
    issued = issued_offers(snapshot, shop.store, period, without_run=campaign.run, without_campaign=campaign.name)
    return Supply(campaign.start.date(), issued)


def period_budget(shop: Shop, snapshot: Snapshot, campaign: Campaign) -> PeriodBudget:
    """The policy's budget of the period in which the campaign starts, less what runs and campaigns take of it."""
    zone = shop.settings.shop.time_zone
    period = budget_period(campaign.start_at(ZoneInfo(zone)), shop.policy.budget.period, zone)
    spent = spent_cents(snapshot, shop.store, period, without_run=campaign.run, without_campaign=campaign.name)
    return PeriodBudget(period, float(shop.policy.budget.cents), spent)
