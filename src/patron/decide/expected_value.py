"""What each offer is expected to gain and to cost with each customer, in cents."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.decide.candidates import DAYS_OF_HISTORY, REASON_COLUMNS
from patron.decide.evidence import ClassResponses, Effects, Evidence
from patron.decide.offer_costs import offer_costs
from patron.schema.models.questions import VALUE
from patron.schema.numbers import Numbers, float_column
from patron.storage.offers.offer_policy import Offer
from patron.storage.offers.offer_rules import OfferRules

PRIOR_ORDERS = 2.0
ASSUMED_ERROR_SHARE = 0.5
"""Standard deviation of an assumed effect as a share of it: surely positive, and hardly more than twice as large."""
MIN_ASSUMED = 0.01
"""An added probability below this is as unsure as this: an offer assumed to do nothing can still be measured."""
OPTIMISM = 1.28
"""Standard errors above the mean that are reached with a probability of 10 %."""
ALL = "all"
ASSUMED, MEASURED = "assumed", "measured"


@dataclass(frozen=True)
class ExpectedValue:
    """Gain and cost of offers, cents: one row per customer, one column per offer."""

    effect: Numbers
    """Extra margin caused, before what the offer itself costs."""
    cost: Numbers
    standard_error: Numbers
    """Standard error of the effect: of assumption and measurement together; an assumption alone may be all wrong."""
    is_measured: npt.NDArray[np.bool_]

    @property
    def net(self) -> Numbers:
        """Effect less cost."""
        return self.effect - self.cost

    @property
    def optimistic_net(self) -> Numbers:
        """Net value that is exceeded with a probability of 10 %; offers with one below zero are not worth exploring."""
        return self.net + OPTIMISM * self.standard_error

    def rows(self, which: npt.NDArray[np.intp]) -> "ExpectedValue":
        """Some of the customers."""
        return ExpectedValue(*(getattr(self, field_.name)[which] for field_ in fields(self)))


def spend_per_day(rows: pa.Table) -> Numbers:
    """Expected spend of each customer, cents a day: the forecast, or last year's where there is none."""
    forecast = float_column(rows, "value_cents_90_days", np.nan) / VALUE.horizon_days
    past = float_column(rows, "paid_cents", np.nan) / DAYS_OF_HISTORY
    return np.maximum(np.where(np.isnan(forecast), past, forecast), 0.0)


def order_cents(rows: pa.Table) -> Numbers:
    """Expected size of an order, cents: the customer's mean, shrunk to the average of all considered."""
    orders, paid = float_column(rows, "order_count", np.nan), float_column(rows, "paid_cents", np.nan)
    average = paid.sum() / max(orders.sum(), 1.0)
    return (paid + PRIOR_ORDERS * average) / (orders + PRIOR_ORDERS)


def forecast_orders(rows: pa.Table, days: float, order_cents: Numbers) -> Numbers:
    """Orders of this size that the forecast spend of each customer stands for in some days."""
    return spend_per_day(rows) * days / np.maximum(order_cents, 1.0)


def expected_values(
    rows: pa.Table, stratum: npt.NDArray[np.str_], offers: Sequence[Offer], evidence: Evidence
) -> ExpectedValue:
    """Effect and cost of each offer for each customer.

    Assumed: the added probability of an order, times its size, times the margin; rules for reasons change it. Where
    the responses to an offer are known, what customers of the same kind order more corrects it.
    Measured: the margin difference of the stratum, to which the discount it already contains is added back, so that
    cost means the same in both (delivery and points are not in the margin: they are charged for the orders that the
    gain stands for). Once there are both, each counts by its precision: a first, noisy measurement corrects the
    assumption, and many replace it.
    """
    order = order_cents(rows)
    reasons, shape = reasons_for_leaving(rows), (rows.num_rows, len(offers))
    effect = np.zeros(shape)
    cost = np.zeros(shape)
    error_of = np.zeros(shape)
    is_measured = np.zeros(shape, np.bool_)
    for at, offer in enumerate(offers):
        of_offer, margin = evidence.responses.get(offer.id), offer.margin(evidence.margin_share)
        code_share = of_offer.code_share(rows) if of_offer else 1.0
        costs = offer_costs(offer, forecast_orders(rows, offer.valid_days, order), order, code_share)
        added, added_error = _added_orders(rows, offer, rule_factors(reasons, offer, evidence.rules), of_offer)
        assumed, unsure_by = margin * added * order, margin * added_error * order
        measured, error, share, is_known = _measured_effects(offer.id, stratum, evidence.effects)
        weight = np.where(is_known, _weight(unsure_by, error), 0.0)
        within = measured + share * costs.discounts
        measured_cost = costs.besides_per_order * _gained_orders(within, order, margin - costs.discount_share)
        # why: a discount after the window cannot be set against a gain that is counted within it
        gained = measured + costs.discounts + (1 - share) * costs.besides
        is_measured[:, at] = is_known
        cost[:, at] = costs.anyway + weight * measured_cost + (1 - weight) * np.maximum(added, 0.0) * costs.per_order
        effect[:, at] = weight * gained + (1 - weight) * assumed
        error_of[:, at] = np.where(
            is_known, np.sqrt(weight) * error, unsure_by if of_offer else unsure_by / ASSUMED_ERROR_SHARE
        )
    return ExpectedValue(effect, cost, error_of, is_measured)


def reasons_for_leaving(rows: pa.Table) -> npt.NDArray[np.str_]:
    """Reason codes of each candidate, the strongest first, or ''; one column per rank."""
    return np.column_stack([np.array(rows[name].fill_null("").to_pylist(), dtype=np.str_) for name in REASON_COLUMNS])


def rule_factors(reasons: npt.NDArray[np.str_], offer: Offer, rules: OfferRules) -> Numbers:
    """Factor on the assumed effect of an offer with each customer."""
    if not rules.factors:
        return np.ones(len(reasons))
    combinations, position = np.unique(reasons, axis=0, return_inverse=True)
    factors = np.array([rules.factor(combination.tolist(), offer) for combination in combinations], dtype=np.float64)
    return factors[position.reshape(-1)]


def _added_orders(
    rows: pa.Table, offer: Offer, factor: Numbers, responses: ClassResponses | None
) -> tuple[Numbers, Numbers]:
    """Orders that an offer adds, and their standard error: as assumed, and as those answer who are alike."""
    added = np.minimum(offer.assumed_purchase_uplift * factor, 1.0)
    # why: a rule says nothing about how sure it is, so that one for 0 must not outweigh what is measured
    error = ASSUMED_ERROR_SHARE * np.maximum(added, max(offer.assumed_purchase_uplift, MIN_ASSUMED))
    if responses is None:
        return added, error
    answered, answered_error = responses.added_orders(rows)
    answered_error = np.maximum(answered_error, ASSUMED_ERROR_SHARE * MIN_ASSUMED)
    weight = _weight(error, answered_error)
    return weight * answered + (1 - weight) * added, np.sqrt(weight) * answered_error


def _gained_orders(gained: Numbers, order: Numbers, share: Numbers | float) -> Numbers:
    """Orders that a measured gain stands for, each of which left `share` of its size; none where no margin was left."""
    return np.where(share > 0, np.maximum(gained, 0.0) / np.maximum(share * order, 1.0), 0.0)


def _weight(assumed_error: Numbers, measured_error: Numbers) -> Numbers:
    """Weight of the measurement, 0 to 1: its precision over that of both."""
    return assumed_error**2 / np.maximum(assumed_error**2 + measured_error**2, 1e-12)


def _measured_effects(
    offer: str, stratum: npt.NDArray[np.str_], effects: Effects
) -> tuple[Numbers, Numbers, Numbers, npt.NDArray[np.bool_]]:
    names, position = np.unique(stratum, return_inverse=True)
    measured = [effects.get((offer, str(name)), effects.get((offer, ALL))) for name in names]
    effect = np.array([one.effect_cents if one else 0.0 for one in measured])
    error = np.array([one.standard_error if one else 0.0 for one in measured])
    share = np.array([one.window_share if one else 1.0 for one in measured])
    known = np.array([one is not None for one in measured], dtype=np.bool_)
    return effect[position], error[position], share[position], known[position]
