"""What a campaign is expected to bring, how sure that is, and what its holdout will be able to show."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import ceil, exp, sqrt

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.commands.outreach.campaigns.campaign_learning import GainFactor
from patron.decide.campaign_selection import CampaignSelection
from patron.decide.offer_costs import ORDER_SPREAD
from patron.experiments import cuped_saving, detectable_effect, sample_size
from patron.measure.campaign_outcomes import campaign_outcomes_query
from patron.schema.errors import BadExperiment, NotEnoughData
from patron.schema.numbers import Numbers, float_column
from patron.storage.shop import Snapshot

REACH_80 = 1.2816
"""Standard errors on either side of an 80 % interval."""
COST_ERROR = 0.25
"""Standard error of what an offer costs with orders that come anyway, as a share of it: forecasts of spend are off by
about so much over a whole audience."""
MAX_SAVING = 0.9


@dataclass(frozen=True)
class CampaignForecast:
    """What is expected of everybody who is written to, until the end of the window; cents."""

    orders_without: float
    orders_with: float
    cost_cents: float
    """Sending, discounts and the like, for as long as offers are valid: what counts for the budget."""
    margin_cents: float
    """Incremental margin of the window, net of these costs in it."""
    low_cents: float
    high_cents: float
    """The true incremental margin is between them with a probability of 80 %."""
    measured_low_cents: float | None
    measured_high_cents: float | None
    """What the holdout will show is between them with a probability of 80 %; NULL without a holdout."""
    gain_factor: float
    """What earlier campaigns with the same offers make of the assumed gains; 1 without any."""
    gain_factor_error: float
    learned_from: tuple[str, ...]
    assumed_gain_cents: float
    """Gain before costs and before that factor."""
    window_cost_cents: float
    """Cost within the window."""


@dataclass(frozen=True)
class Detectable:
    """What the holdout can show, of the margin per customer, cents."""

    expected_cents: float
    """Effect that is expected."""
    detectable_cents: float | None
    """Smallest effect that is detected with a probability of 80 %; NULL without a holdout."""
    deviation_cents: float
    """Standard deviation of a customer's margin in the window."""
    saving: float
    """Share of its variance that the margin before the start explains (CUPED), from history."""
    needed_customers: int | None
    """Customers that the expected effect needs, holdout included; NULL where none is expected, or without a holdout."""
    is_enough: bool
    sentence: str


@dataclass(frozen=True)
class Assumptions:
    """The selected customers as arrays, within the window; cents."""

    is_treated: npt.NDArray[np.bool_]
    gain: Numbers
    cost: Numbers
    window_cost: Numbers
    sending: Numbers
    orders: Numbers
    """Without the campaign."""
    added: Numbers
    margin_per_order: Numbers

    @classmethod
    def of(
        cls, selection: CampaignSelection, is_treated: npt.NDArray[np.bool_], days: Numbers, margin_share: float
    ) -> "Assumptions":
        """Of the selected customers; `days` is how long each of them has from the message to the end of the window."""
        share = np.minimum(days / np.maximum(selection.valid_days, 1.0), 1.0)
        orders = selection.spend_per_day * days / np.maximum(selection.order_cents, 1.0)
        return cls(
            is_treated,
            selection.gain * share,
            selection.cost,
            selection.sending + (selection.cost - selection.sending) * share,
            selection.sending,
            orders,
            selection.added_orders * share,
            margin_share * selection.order_cents,
        )

    def net(self, factor: float) -> Numbers:
        """Incremental margin of the window that each customer is expected to bring, net of the costs in it, cents."""
        return factor * self.gain - self.window_cost

    def response(self, factor: float) -> Numbers:
        """Probability of an order in the window of each customer who is written to."""
        return -np.expm1(-np.maximum(self.orders + factor * self.added, 0.0))


def forecast(about: Assumptions, factor: GainFactor, deviation: float, saving: float) -> CampaignForecast:
    """The forecast of everybody who is written to."""
    treated = about.is_treated
    gain, cost = float(about.gain[treated].sum()), float(about.window_cost[treated].sum())
    margin = float(about.net(factor.factor)[treated].sum())
    of_cost = COST_ERROR * (cost - float(about.sending[treated].sum()))
    error = sqrt((factor.standard_error * gain) ** 2 + of_cost**2)
    counts = int(treated.sum()), int((~treated).sum())
    low = high = None
    if all(counts):
        noise = counts[0] * deviation * sqrt((1 - saving) * (1 / counts[0] + 1 / counts[1]))
        reach = REACH_80 * sqrt(error**2 + noise**2)
        low, high = margin - reach, margin + reach
    orders = float(about.orders[treated].sum())
    return CampaignForecast(
        orders,
        max(orders + factor.factor * float(about.added[treated].sum()), 0.0),
        cost_cents=float(about.cost[treated].sum()),
        margin_cents=margin,
        low_cents=margin - REACH_80 * error,
        high_cents=margin + REACH_80 * error,
        measured_low_cents=low,
        measured_high_cents=high,
        gain_factor=factor.factor,
        gain_factor_error=factor.standard_error,
        learned_from=factor.learned_from,
        assumed_gain_cents=gain,
        window_cost_cents=cost,
    )


def past_outcomes(snapshot: Snapshot, audience: pa.Table, window: timedelta) -> pa.Table:
    """What customers bought in the last window of this length and before it; a row a customer, in their order."""
    until = snapshot.run.as_of
    sql = campaign_outcomes_query(until - window, until, snapshot.settings.shop.margin_share, ())
    return snapshot.query(sql, assigned=audience.append_column("offer", pa.nulls(audience.num_rows, pa.string())))


def margin_deviation(about: Assumptions, history: pa.Table) -> tuple[float, float]:
    """Standard deviation of a customer's margin in the window, cents, and the share that CUPED will save.

    The deviation is that of forecasts (orders come by chance, their sizes are log-normal) or that of the last window
    as long, whichever is larger: who is chosen because they bought little lately would look too much alike.
    """
    mean = about.orders * about.margin_per_order
    within = about.orders * about.margin_per_order**2 * exp(ORDER_SPREAD**2)
    expected = float(within.mean() + mean.var())
    past = float_column(history, "margin_cents").var()
    try:
        saving = cuped_saving(history, outcome="margin_cents", covariate="before_cents")
    except (BadExperiment, NotEnoughData):
        saving = 0.0
    return sqrt(max(expected, float(past), 1.0)), min(saving, MAX_SAVING)


def detectable(
    counts: Mapping[str, int], expected_cents: float, deviation: float, saving: float, money: str
) -> Detectable:
    """What a holdout can show; `counts` are treated and holdout, `money` the currency of the sentence."""
    treated, holdout = counts["treated"], counts["holdout"]
    if min(treated, holdout) < 2:
        sentence = "Nothing can be measured without a holdout: set holdout_share above 0."
        return Detectable(
            expected_cents,
            None,
            deviation_cents=deviation,
            saving=saving,
            needed_customers=None,
            is_enough=False,
            sentence=sentence,
        )
    arm = 2 / (1 / treated + 1 / holdout)
    smallest = detectable_effect(max(arm, 2.0), deviation, saving=saving)
    needed = None
    if abs(expected_cents) > 1e-6:
        of_arm = sample_size(expected_cents, deviation, saving=saving)
        share = holdout / (treated + holdout)
        needed = ceil(of_arm / 2 * (1 / share + 1 / (1 - share)))
    is_enough = abs(expected_cents) >= smallest
    effect, least = f"{expected_cents / 100:.2f} {money}", f"{smallest / 100:.2f} {money}"
    total = treated + holdout
    if is_enough:
        sentence = f"The expected effect of {effect} per customer can be detected: from {least} on."
    else:
        more = f"you would need {needed:,} customers instead of {total:,}" if needed else "no effect is expected"
        sentence = (
            f"This cannot be known with your traffic: the expected effect is {effect} per customer, and effects from"
            f" {least} on are detected; {more}."
        )
    return Detectable(
        expected_cents,
        smallest,
        deviation_cents=deviation,
        saving=saving,
        needed_customers=needed,
        is_enough=is_enough,
        sentence=sentence,
    )
