"""Effects of offers on margin: one estimator for an offer in a stratum and for the whole, which is their mean.

A row's score is its margin less what was expected without an offer, once if it got the offer, and taken off with
P(offer) / P(none) if it got none. The scores' sum over the number of offers is the mean effect on those who got one,
right whatever was expected where the probabilities are known (Robins, Rotnitzky and Zhao 1994). Those of the holdout
are means of a run and stratum: if who is worth more is certain of an offer there, only what was expected corrects it.
"""

from dataclasses import dataclass

import numpy as np

from patron.experiments.confidence_sequences import TIGHTEST_AT, reach_of_sequence
from patron.experiments.skewed_intervals import standardised_ends
from patron.measure.decision_outcomes import DecisionOutcomes
from patron.measure.effect_estimates import EffectEstimate
from patron.measure.offer_trial import Flags, OfferTrial
from patron.schema.numbers import Numbers

ANY, ALL = "any", "all"
REACH_95 = 1.96
POOLED_ROWS = 20.0
"""Rows of the whole whose moments are mixed into a stratum's: ten customers without an order prove little."""


@dataclass(frozen=True, kw_only=True)
class OfferEffect(EffectEstimate):
    """Mean effect of an offer on the margin of those who got it, cents; raw: weighted by the probabilities alone."""

    offer: str
    stratum: str
    cost_cents: float
    """Discounts on orders with the offer's code, what these orders cost besides, and sending; mean."""
    net_cents: float
    """Adjusted effect less the costs that are not in the margin."""


def offer_effects(outcomes: DecisionOutcomes) -> list[OfferEffect]:
    """Each offer and any offer, in all and in each stratum; the whole is the mean of its parts, weighted by offers."""
    trial = OfferTrial.of(outcomes)
    if not (trial.offer >= 0).any():
        return []
    estimates = []
    every = np.ones(len(trial.offer), dtype=np.bool_)
    strata = [(ALL, every), *((str(one), trial.outcomes.stratum == one) for one in np.unique(trial.outcomes.stratum))]
    for at, offer in [(None, ANY), *enumerate(trial.offers)]:
        probability = trial.probability.sum(axis=1) if at is None else trial.probability[:, at]
        is_offered = trial.offer >= 0 if at is None else trial.offer == at
        for stratum, within in strata:
            rows = within & (probability > 0)
            if (rows & is_offered).any():
                estimates.append(_estimate(trial, (offer, stratum), rows, is_offered, probability))
    return [estimate for estimate in estimates if estimate.standard_error > 0]


def _estimate(
    trial: OfferTrial, key: tuple[str, str], rows: Flags, is_offered: Flags, probability: Numbers
) -> OfferEffect:
    offered, without = rows & is_offered, rows & (trial.offer < 0)
    weight = probability / trial.probability_of_none
    count = int(offered.sum())
    ends = []
    for residual in (trial.raw_residual, trial.residual):
        effect = float((residual[offered].sum() - (weight * residual)[without].sum()) / count)
        error, skewness = _noise(trial, residual - effect * is_offered, rows, probability)
        ends.append((effect, error / count, skewness))
    looks = float(reach_of_sequence(np.array([float(rows.sum())]), TIGHTEST_AT)[0])
    raw, adjusted, sequence = (
        standardised_ends(*noise, reach=reach)
        for noise, reach in ((ends[0], REACH_95), (ends[1], REACH_95), (ends[1], looks))
    )
    discount, other = (
        float(column[offered].mean()) for column in (trial.outcomes.discount_cents, trial.outcomes.other_cost_cents)
    )
    return OfferEffect(
        offer=key[0],
        stratum=key[1],
        treated_count=count,
        control_count=int(without.sum()),
        raw=raw,
        raw_error=ends[0][1],
        adjusted=adjusted,
        standard_error=ends[1][1],
        sequence=sequence,
        cost_cents=discount + other,
        net_cents=ends[1][0] - other,
    )


def _noise(trial: OfferTrial, rest: Numbers, rows: Flags, probability: Numbers) -> tuple[float, float]:
    """Standard error and skewness of the sum of scores over the draws of the actions.

    Every row counts with what it would add in either arm: the few with an offer, or without, would show a heavy tail
    too seldom. A row that may be offered with p, or nothing with q, adds rest^2 p (1 + p / q) to the variance.
    """
    chance = probability[rows]
    weight = chance / trial.probability_of_none[rows]
    _, stratum = np.unique(trial.outcomes.stratum[rows], return_inverse=True)
    count = np.bincount(stratum).astype(np.float64)[stratum]
    share = count / (count + POOLED_ROWS)
    square, cube = (share * rest[rows] ** power + (1 - share) * float((rest**power).mean()) for power in (2, 3))
    variance = float((square * chance * (1 + weight)).sum())
    if variance <= 0:
        return 0.0, 0.0
    return float(np.sqrt(variance)), float((cube * chance * (1 - weight**2)).sum()) / variance**1.5
