"""How well effects rank customers: Qini, AUUC and uplift at a share, with bootstrap intervals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from patron.estimators.bootstrap import Interval, percentile_interval
from patron.schema.errors import BadTrial
from patron.schema.numbers import Numbers
from patron.uplift.trial import Codes, Trial, as_table, numbers_of

RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class Ranked:
    """Customers of a trial in the order of some score, as weighted sums up to each place.

    `ends` are the last places of ties: a curve has no points within them.
    """

    order: Codes
    ends: Codes

    @classmethod
    def by(cls, score: Numbers) -> "Ranked":
        """Sort, largest first; within ties the last row first, as scikit-uplift does."""
        order = np.argsort(score, kind="stable")[::-1]
        return cls(order, np.r_[np.flatnonzero(np.diff(score[order])), len(score) - 1])

    def sums(self, values: Numbers) -> Numbers:
        """Sums of the rows' values up to each end, after a 0."""
        return np.r_[0.0, np.cumsum(values[self.order])[self.ends]]


@dataclass(frozen=True, eq=False)
class Comparable:
    """Rows that got the offer that the effects would choose, or the control."""

    outcome: Numbers
    effect: Numbers
    is_offer: Numbers
    weight: Numbers
    """1 with one offer; with several, so much that each offer's rows count as if all offers had equal shares."""

    @classmethod
    def of(cls, outcome: Any, effect: Any, treatment: Any, control: Any) -> "Comparable":
        """Read arrays, tables or {offer: effects}. Raises BadTrial, NotEnoughData."""
        trial = Trial.of(treatment, outcome, control)
        effects = effects_of(effect, trial)
        best = effects.argmax(axis=1) + 1
        is_kept = (trial.arm == 0) | (trial.arm == best)
        shares = trial.shares
        weight = np.where(trial.arm == 0, 1.0, shares[1:].mean() / shares[trial.arm])
        return cls(
            trial.outcome[is_kept],
            effects.max(axis=1)[is_kept],
            (trial.arm[is_kept] > 0).astype(np.float64),
            weight[is_kept],
        )

    def resamples(self, measure: Callable[[Numbers], float], seed: int) -> Interval:
        """A measure of weighted rows with its percentile interval over bootstrap draws of customers."""
        rng = np.random.default_rng(seed)
        count = len(self.outcome)
        draws = [
            measure(self.weight * np.bincount(rng.integers(0, count, count), minlength=count)) for _ in range(RESAMPLES)
        ]
        return percentile_interval(measure(self.weight), np.array(draws))


def qini(outcome: Any, effect: Any, treatment: Any, control: Any = 0, seed: int = 0) -> Interval:
    """Area between Qini curve and diagonal as a share of that of the perfect order, with its 95 % interval.

    The curve at k rows: outcomes of the offered, less those of the control per row x offered rows. Perfect is to rank
    by outcome of the offered and by minus outcome of the control (as scikit-uplift's `qini_auc_score`).

    Args:
        outcome: (n,) what came of each row.
        effect: (n,) estimated effects; with several offers {offer: effects} or a table with a column an offer. A row's
            offer is then the one with the largest effect; rows that got another one are left out.
        treatment: (n,) arm of each row, 0/1 or names.
        control: The arm without an offer.
        seed: Of the bootstrap.

    Raises BadTrial, NotEnoughData.
    """
    return _area(Comparable.of(outcome, effect, treatment, control), _qini_curve, _signed_outcome, seed)


def auuc(outcome: Any, effect: Any, treatment: Any, control: Any = 0, seed: int = 0) -> Interval:
    """Area between uplift curve and diagonal as a share of that of the perfect order, with its 95 % interval.

    The curve at k rows: (mean outcome of the offered - mean of the control) x k. Perfect is, for 0/1, as in
    scikit-uplift's `uplift_auc_score`; for counts and money as in `qini`. Arguments as there.
    """
    return _area(Comparable.of(outcome, effect, treatment, control), _uplift_curve, _perfect_uplift, seed)


def uplift_at(
    outcome: Any, effect: Any, treatment: Any, control: Any = 0, share: float = 0.3, seed: int = 0
) -> Interval:
    """Effect among the share of the rows with the largest estimated effects, in the outcome's unit, with its interval.

    Arguments as in `qini`.
    """
    if not 0 < share <= 1:
        raise BadTrial(f"{share:g} is not above 0 and at most 1", where="share")
    rows = Comparable.of(outcome, effect, treatment, control)
    ranked = Ranked.by(rows.effect)
    offered = rows.is_offer[ranked.order] > 0
    values = rows.outcome[ranked.order]

    def measure(weight: Numbers) -> float:
        weights = weight[ranked.order]
        counts = np.cumsum(weights)
        top = np.searchsorted(counts, int(share * counts[-1] + 1e-9), side="right")
        sides = [(weights[:top] * (offered[:top] == side)) for side in (True, False)]
        if not all(side.sum() for side in sides):
            return np.nan
        gained, others = (float(side @ values[:top] / side.sum()) for side in sides)
        return gained - others

    return rows.resamples(measure, seed)


def effects_of(effect: Any, trial: Trial) -> Numbers:
    """Estimated effects as rows x offers. Raises BadTrial."""
    if isinstance(effect, Mapping) or hasattr(effect, "columns"):
        effect = _columns(effect, trial)
    values = np.asarray(effect, dtype=np.float64)
    if values.ndim == 1:
        values = values[:, None]
    if values.shape != (len(trial.arm), len(trial.offers)):
        what = f"{values.shape[0]:,} rows and {values.shape[1]} columns for {len(trial.arm):,} rows and "
        raise BadTrial(f"{what}{len(trial.offers)} offers ({', '.join(trial.offers)})", where="effect")
    for column in values.T:
        numbers_of(column, "effect")
    return values


def _columns(effect: Any, trial: Trial) -> Numbers:
    table = effect if isinstance(effect, Mapping) else as_table(effect)
    names = table.column_names if isinstance(table, pa.Table) else list(table)
    missing = [name for name in trial.offers if name not in names]
    if missing:
        raise BadTrial(f"no effects of {', '.join(missing)}", where="effect", todo="Give a column an offer.")
    return np.column_stack([np.asarray(table[name], dtype=np.float64) for name in trial.offers])


def _area(rows: Comparable, curve: Any, perfect: Callable[[Comparable], Numbers], seed: int) -> Interval:
    ranked, best = Ranked.by(rows.effect), Ranked.by(perfect(rows))

    def measure(weight: Numbers) -> float:
        areas = []
        for one in (ranked, best):
            place, height = curve(rows, one, weight)
            areas.append(np.trapezoid(height, place) - place[-1] * height[-1] / 2)
        return float(areas[0] / areas[1]) if areas[1] else np.nan

    return rows.resamples(measure, seed)


def _curve_sums(rows: Comparable, ranked: Ranked, weight: Numbers) -> tuple[Numbers, ...]:
    """Rows, offered rows, and outcomes of offered and control, up to each place."""
    offered = weight * rows.is_offer
    total = weight * rows.outcome
    both = ranked.sums(total)
    gained = ranked.sums(offered * rows.outcome)
    return ranked.sums(weight), ranked.sums(offered), gained, both - gained


def _qini_curve(rows: Comparable, ranked: Ranked, weight: Numbers) -> tuple[Numbers, Numbers]:
    count, offered, gained, others = _curve_sums(rows, ranked, weight)
    return count, gained - others * _ratio(offered, count - offered)


def _uplift_curve(rows: Comparable, ranked: Ranked, weight: Numbers) -> tuple[Numbers, Numbers]:
    count, offered, gained, others = _curve_sums(rows, ranked, weight)
    return count, (_ratio(gained, offered) - _ratio(others, count - offered)) * count


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _signed_outcome(rows: Comparable) -> Numbers:
    return rows.outcome * (2 * rows.is_offer - 1)


def _perfect_uplift(rows: Comparable) -> Numbers:
    """For 0/1: offered with an outcome and control without first, then the rarer kind of the others."""
    if not np.isin(rows.outcome, (0.0, 1.0)).all():
        return _signed_outcome(rows)
    lost = ((rows.outcome == 1) & (rows.is_offer == 0)).sum()
    idle = ((rows.outcome == 0) & (rows.is_offer == 1)).sum()
    return 2 * (rows.outcome == rows.is_offer) + (rows.outcome if lost > idle else rows.is_offer)
