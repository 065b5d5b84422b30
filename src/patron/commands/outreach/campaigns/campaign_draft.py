"""What a plan of a campaign follows from: the audience and what is known of it, arms drawn before, budget, evidence."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.commands.outreach.campaigns.campaign_assignments import (
    Assigned,
    draw_holdout,
    predecessors,
    stored_assignments,
)
from patron.commands.outreach.campaigns.campaign_learning import GainFactor, expected_factor, measured_factors
from patron.commands.outreach.campaigns.campaign_policy_terms import (
    PeriodBudget,
    campaign_policy,
    evidence_of,
    period_budget,
    supply_of,
)
from patron.commands.outreach.campaigns.campaign_send_times import SendWindow
from patron.commands.outreach.campaigns.campaign_steps import require_not_over
from patron.commands.outreach.campaigns.offers_of_run import CHOOSE_OTHER_RUN, decided_offers, require_reserved
from patron.commands.outreach.messages.lasting_obstacles import lasting_obstacles
from patron.decide.campaign_selection import (
    CampaignSelection,
    CampaignTerms,
    select_campaign_offers,
    select_decided_offers,
)
from patron.decide.candidates import audience_rows
from patron.schema.errors import BadCampaign
from patron.schema.sentences import Sentence
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.versioned_drafts import SavedVersion
from patron.storage.runs.last_run import last_run
from patron.storage.segments.segment_query import member_ids, without_members
from patron.storage.shop import Shop, Snapshot

LOOK_AT_SEGMENT = Sentence("look_at_segment", "Look at it with `patron segment count`, or choose another one.")
EMPTY_SEGMENT = Sentence("empty_segment", "nobody is in the segment {segment!r}")
NONE_OF_OFFERS = Sentence("none_of_offers", "the run {run} gives nobody an offer of {name!r}")
RUN_OVER_BUDGET = Sentence(
    "run_over_budget",
    "its offers are expected to cost {cost:.2f}, and {left:.2f} are left of its budget or the policy's",
)
RAISE_OR_FEWER = Sentence("raise_or_fewer", "Raise the budget, choose fewer offers, or exclude a segment.")

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CampaignDraft:
    """A campaign before it is planned."""

    shop: Shop
    saved: SavedVersion[Campaign]
    snapshot: Snapshot
    window: SendWindow
    decided: tuple[str, ...] | None
    """What the run decided for each of them; None where each gets the best offer."""
    rows: pa.Table
    """Members who are not excluded and were sent nothing yet, in order of customer_id, and what is known of each."""
    member_count: int
    excluded_count: int
    obstacles: Mapping[str, int]
    """How many of the others no message can reach, by reason."""
    is_held_out: Flags
    stored: dict[str, Assigned]
    budget: PeriodBudget

    @property
    def campaign(self) -> Campaign:
        """The campaign as it was saved."""
        return self.saved.content

    @classmethod
    def of(cls, shop: Shop, saved: SavedVersion[Campaign], *, now: datetime) -> "CampaignDraft":
        """Read everything. Raises NotFound, NoRunYet, BadCampaign for a window that is over or an empty segment."""
        campaign, zone = saved.content, ZoneInfo(shop.settings.shop.time_zone)
        window = SendWindow(campaign.start_at(zone), campaign.end_at(zone), zone)
        require_not_over(shop, CAMPAIGN, saved, now)
        policy = campaign_policy(shop.policy, campaign)
        snapshot = last_run(shop)
        members = _members(shop, snapshot, campaign)
        audience = without_members(snapshot, members, campaign.exclude)
        excluded = members.num_rows - audience.num_rows
        stored, before = stored_assignments(shop.store, saved.name), predecessors(snapshot)
        audience = _without_recipients(audience, stored, before)
        about = {"channel": campaign.channel, "topic": campaign.topic, "now": now, "end": window.end}
        obstacles = lasting_obstacles(snapshot, audience, **about)
        reachable = pc.invert(pc.is_in(audience["customer_id"], value_set=pa.array(sorted(obstacles), pa.string())))
        audience = audience.filter(reachable)
        rows = audience_rows(snapshot, policy, audience, without_run=campaign.run, without_campaign=saved.name)
        arms = {customer: one.is_holdout for customer, one in stored.items()}
        customers = rows["customer_id"].to_pylist()
        is_held_out = draw_holdout(saved.name, campaign.drawn_share, customers, arms, before)
        budget = period_budget(shop, snapshot, campaign)
        return cls(
            *(shop, saved, snapshot, window),
            tuple(audience["action"].to_pylist()) if campaign.run else None,
            *(rows, members.num_rows, excluded, Counter(obstacles.values()), is_held_out, stored, budget),
        )

    def select(self) -> tuple[CampaignSelection, GainFactor]:
        """The offer of everybody, and what earlier campaigns make of the gains that are expected.

        Raises BadCampaign for offers of a run that cost more than is left.
        """
        prior = self._select(1.0)
        measured = measured_factors(self.saved, CAMPAIGN.all_saved_in(self.shop.store))
        factor = expected_factor(prior.prior_error, measured)
        return (prior if factor.factor == 1.0 else self._select(factor.factor)), factor

    def _select(self, gain_factor: float) -> CampaignSelection:
        policy = campaign_policy(self.shop.policy, self.campaign)
        handed_over = sum(one.cost_cents for one in self.stored.values())
        terms = CampaignTerms(
            self.campaign.goal,
            max(min(self.campaign.budget_cents - handed_over, self.budget.left_cents), 0.0),
            message_cents=self.shop.settings.value.message_cents,
            gain_factor=gain_factor,
        )
        supply = supply_of(self.shop, self.snapshot, self.budget.period, self.campaign)
        evidence = evidence_of(self.shop, self.snapshot)
        if self.decided is None:
            return select_campaign_offers(self.rows, self.is_held_out, policy, evidence, terms, supply)
        selection = select_decided_offers(self.rows, self.decided, policy, evidence, supply)
        cost = float(selection.cost[~self.is_held_out].sum())
        if cost > terms.budget_cents:
            what = RUN_OVER_BUDGET(cost=cost / 100, left=terms.budget_cents / 100)
            raise BadCampaign(what, where="budget", todo=RAISE_OR_FEWER)
        return selection


def _members(shop: Shop, snapshot: Snapshot, campaign: Campaign) -> pa.Table:
    """Whom the campaign is for, before it excludes anybody. Raises BadCampaign for nobody, NotFound for the segment."""
    if campaign.run:
        require_reserved(shop, campaign.run, campaign.name)
        members = decided_offers(snapshot, campaign.run, campaign.offers)
        if not members.num_rows:
            what = NONE_OF_OFFERS(run=campaign.run, name=campaign.name)
            raise BadCampaign(what, where="run", todo=CHOOSE_OTHER_RUN)
        return members
    members = member_ids(snapshot, campaign.segment)
    if not members.num_rows:
        raise BadCampaign(EMPTY_SEGMENT(segment=campaign.segment), where="segment", todo=LOOK_AT_SEGMENT)
    return members


def _without_recipients(
    audience: pa.Table, stored: dict[str, Assigned], before: dict[str, tuple[str, ...]]
) -> pa.Table:
    """The audience without those to whom a message was handed over, as themselves or as a customer they were before."""
    reached = {customer for customer, one in stored.items() if one.is_handed_over}
    if not reached:
        return audience
    heirs = {customer for customer, earlier in before.items() if reached.intersection(earlier)}
    ids = pa.array(sorted(reached | heirs), pa.string())
    return audience.filter(pc.invert(pc.is_in(audience["customer_id"], value_set=ids)))
