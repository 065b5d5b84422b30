"""The measured decisions as a trial: who could have got which offer, with what probability, and what was expected."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from patron.measure.decision_outcomes import NONE, DecisionOutcomes
from patron.schema.numbers import Numbers
from patron.uplift.cross_fitting import FOLDS, Folds
from patron.uplift.linear_model import Linear

MIN_ROWS = 50
"""Rows without an offer below which nothing is adjusted."""
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class OfferTrial:
    """One row per decision that could have been an offer and could have been none."""

    outcomes: DecisionOutcomes
    offers: tuple[str, ...]
    offer: npt.NDArray[np.int64]
    """Number of the row's offer, or -1."""
    probability: Numbers
    """Of each offer: rows x offers; 0 where the row's stratum never got it."""
    probability_of_none: Numbers
    raw_residual: Numbers
    """Margin less the mean of those without an offer in the stratum, weighted as the offers were, cents."""
    residual: Numbers
    """Margin less what was expected without an offer from what was known at the decision, cents."""

    @classmethod
    def of(cls, outcomes: DecisionOutcomes) -> Self:
        """Rows of the trial.

        Reachable customers count at each of their decisions, by its propensities. Those in the holdout count at their
        first decision alone, as earlier offers change who is considered later. They have no propensities: their
        weight P(offer) / P(none) is the mean of their run and stratum. That of the mean probabilities would be too
        small where some are certain of an offer and others of none, and those with an offer would be compared with
        too few.
        """
        offers = tuple(sorted(set(outcomes.action[~outcomes.is_holdout].tolist()) - {NONE}))
        expected = expected_margin(outcomes)
        probability, none = _probabilities(outcomes, offers)
        is_used = (none > 0) & (probability.sum(axis=1) > 0)
        rows, probability, none = outcomes.rows(is_used), probability[is_used], none[is_used]
        offer = np.array([offers.index(one) if one != NONE else -1 for one in rows.action.tolist()], dtype=np.int64)
        _, stratum = np.unique(rows.stratum, return_inverse=True)
        got = np.zeros((stratum.max(initial=-1) + 1, len(offers)))
        got[stratum[offer >= 0], offer[offer >= 0]] = 1.0
        probability = probability * got[stratum]
        mean = _means_without(rows.margin_cents, probability.sum(axis=1) / none * (offer < 0), stratum)
        raw, residual = rows.margin_cents - mean[stratum], rows.margin_cents - expected[is_used]
        return cls(rows, offers, offer, probability, none, raw, residual)


def expected_margin(outcomes: DecisionOutcomes) -> Numbers:
    """Margin expected without an offer, cents: ridge regression, each customer predicted from the others."""
    is_without = outcomes.action == NONE
    if is_without.sum() < MIN_ROWS:
        return np.zeros(len(is_without))
    matrix = np.column_stack([outcomes.covariates, *_dummies(outcomes.stratum), *_dummies(outcomes.run)])
    scale = np.maximum(matrix.std(axis=0), 1e-12)
    _, customer = np.unique(outcomes.customer, return_inverse=True)
    folds = Folds(np.random.default_rng(0).permutation(customer.max() + 1)[customer] % FOLDS, 0)
    return folds.predict(Linear(), matrix / scale, outcomes.margin_cents, is_without, is_binary=False)


def _probabilities(outcomes: DecisionOutcomes, offers: tuple[str, ...]) -> tuple[Numbers, Numbers]:
    """Probability of each offer and of none, the draw of the holdout included at first decisions."""
    nothing = np.zeros(len(outcomes.action))
    each = np.column_stack([outcomes.propensities.get(name, nothing) for name in offers] or [nothing])[:, : len(offers)]
    none = outcomes.propensities.get(NONE, nothing).copy()
    first, held = outcomes.is_first, outcomes.is_holdout
    if not offers or not (first & held).any():
        return each, none
    share = float((first & held).sum() / first.sum())
    is_known = each.sum(axis=1) + none > 0
    none = np.where(first & is_known, share + (1 - share) * none, none)
    each = np.where(first[:, None], (1 - share) * each, each)
    cells = np.unique(np.char.add(np.char.add(outcomes.run, "\n"), outcomes.stratum), return_inverse=True)[1]
    counted = first & ~held
    count = np.maximum(np.bincount(cells[counted], minlength=cells.max() + 1), 1)

    def mean_of(values: Numbers) -> Numbers:
        return (np.bincount(cells[counted], weights=values[counted], minlength=len(count)) / count)[cells]

    ratio = each / np.where(none > 0, none, np.inf)[:, None]
    weight = np.column_stack([mean_of(ratio[:, at]) for at in range(len(offers))])
    total = weight.sum(axis=1)
    of_held = np.where(total > 0, mean_of(each.sum(axis=1)) / np.where(total > 0, total, 1.0), 1.0)
    none = np.where(first & held, of_held, none)
    each = np.where((first & held)[:, None], weight * of_held[:, None], each)
    return each, none


def _means_without(margin: Numbers, weight: Numbers, stratum: npt.NDArray[np.int64]) -> Numbers:
    """Weighted mean of each stratum; that of all where a stratum has no weight."""
    count = stratum.max(initial=-1) + 1
    total = np.bincount(stratum, weights=weight, minlength=count)
    sums = np.bincount(stratum, weights=weight * margin, minlength=count)
    whole = sums.sum() / total.sum() if total.sum() > 0 else 0.0
    return np.where(total > 0, sums / np.where(total > 0, total, 1.0), whole)


def _dummies(values: npt.NDArray[np.str_]) -> list[Numbers]:
    return [(values == one).astype(np.float64) for one in np.unique(values)[1:]]
