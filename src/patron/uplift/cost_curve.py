"""What offers bring against what they cost, over every budget, for several costly offers at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from patron.estimators.bootstrap import Interval, percentile_interval
from patron.estimators.hulls import HullSteps
from patron.schema.errors import BadTrial
from patron.schema.numbers import Numbers
from patron.uplift.fitted_uplift import FittedUplift
from patron.uplift.scored_trial import ScoredTrial

RESAMPLES = 200
POINTS = 100


@dataclass(frozen=True)
class CurveTest:
    """How much more one way to spend a budget brings a customer than another, in the unit of value."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Curve:
    """Gain at each budget of a grid, and in each bootstrap draw."""

    gain: Numbers
    draws: Numbers
    """Draws x budgets."""


@dataclass(frozen=True, eq=False)
class CostCurve:
    """Gain against spend, both a customer, in the unit of value."""

    spend: Numbers
    """Budgets from 0 to where no further offer is expected to bring anything."""
    gain: Numbers
    """Before cost, above no offers."""
    low: Numbers
    high: Numbers
    """Ends of the 95 % interval."""
    curves: Mapping[str, Curve]
    """By way to spend: `all arms`, `untargeted`, and each offer's name."""
    findings: tuple[str, ...]

    def to_table(self) -> pa.Table:
        """One row per budget."""
        return pa.table({"spend": self.spend, "gain": self.gain, "low": self.low, "high": self.high})

    def __getitem__(self, column: str) -> Numbers:
        """A column of `to_table`."""
        return np.asarray(self.to_table()[column])

    def at(self, budget: float) -> Interval:
        """Gain a customer at a budget a customer; beyond the end of the curve it stays as it is."""
        return self._interval(self._gains("all arms", budget))

    def test(self, budget: float) -> tuple[CurveTest, ...]:
        """All arms v best arm v untargeted at a budget a customer, from the same draws.

        `best arm` is the one offer that, targeted, brings most at this budget; `untargeted` gives offers to customers
        at random.
        """
        offers = [name for name in self.curves if name not in {"all arms", "untargeted"}]
        best = max(offers, key=lambda name: self._gains(name, budget)[0])
        ways = {"all arms": "all arms", "best arm": best, "untargeted": "untargeted"}
        pairs = (("all arms", "best arm"), ("all arms", "untargeted"), ("best arm", "untargeted"))
        rows = []
        for one, other in pairs:
            gap = self._interval(self._gains(ways[one], budget) - self._gains(ways[other], budget))
            label = f"{one} v {other}".replace("best arm", f"best arm ({best})")
            rows.append(CurveTest(label, gap.value, gap.low, gap.high))
        return tuple(rows)

    def _gains(self, name: str, budget: float) -> Numbers:
        """Gain at a budget, then of each draw."""
        if np.isnan(budget) or budget < 0:
            raise BadTrial(f"{budget:g} is not a budget a customer", where="budget", todo="Give money from 0 on.")
        curve = self.curves[name]
        place = np.interp(min(budget, self.spend[-1]), self.spend, np.arange(len(self.spend)))
        low, part = int(place), place - int(place)
        high = min(low + 1, len(self.spend) - 1)
        every = np.vstack([curve.gain, curve.draws])
        return (1 - part) * every[:, low] + part * every[:, high]

    @staticmethod
    def _interval(gains: Numbers) -> Interval:
        return percentile_interval(float(gains[0]), gains[1:])


def cost_curve(  # noqa: PLR0913 - what a trial is
    fitted: FittedUplift,
    table: Any,
    *,
    treatment: str,
    control: Any = 0,
    outcome: str,
    cost: Mapping[Any, Any],
    value: float = 1.0,
    propensity: Any = None,
    points: int = POINTS,
    seed: int = 0,
) -> CostCurve:
    """Gain against spend when each budget goes to the offers that bring most for their cost.

    Each customer's offers are the upper hull of (cost, estimated gain); steps of all customers are taken by gain a unit
    of cost, and what they bring is counted in doubly robust scores (Sverdrup, Wu, Athey and Wager, arXiv 2306.11979).
    Intervals are of a bootstrap of customers, with the fit as it is. Arguments as in `choose_policy`, on rows that the
    fit has not seen; `points` is the number of budgets above 0. Raises BadTrial, NotEnoughData.
    """
    columns = treatment, control, outcome
    scored = ScoredTrial.of(fitted, table, columns, cost=cost, value=value, propensity=propensity, seed=seed)
    findings = (*fitted.findings, *scored.findings)
    return curve_of_scores(
        scored.effects, scored.gains, scored.costs, fitted.offers, points=points, findings=findings, seed=seed
    )


def curve_of_scores(  # noqa: PLR0913 - three tables and what they are called
    effects: Numbers,
    gains: Numbers,
    costs: Numbers,
    offers: tuple[str, ...],
    *,
    points: int = POINTS,
    findings: tuple[str, ...] = (),
    seed: int = 0,
) -> CostCurve:
    """As `cost_curve`, of rows x offers: estimated gains, doubly robust gains, and costs, in the unit of value."""
    scored = _Scores(effects, gains, costs)
    paths: dict[str, _Path] = {"all arms": _Path.of(scored, tuple(range(len(offers))))}
    for at, name in enumerate(offers):
        paths[name] = _Path.of(scored, (at,))
    count = len(gains)
    everybody = np.ones(count)
    spend = np.linspace(0.0, paths["all arms"].end(everybody), points + 1)
    mean = _Untargeted.of(scored)
    whole = {name: path.gains(spend, everybody) for name, path in paths.items()}
    whole["untargeted"] = mean.gains(spend, everybody)
    draws: dict[str, list[Numbers]] = {name: [] for name in whole}
    rng = np.random.default_rng(seed)
    for _ in range(RESAMPLES):
        weight = np.bincount(rng.integers(0, count, count), minlength=count).astype(np.float64)
        for name, path in paths.items():
            draws[name].append(path.gains(spend, weight))
        draws["untargeted"].append(mean.gains(spend, weight))
    curves = {name: Curve(gain, np.array(draws[name])) for name, gain in whole.items()}
    low, high = np.quantile(curves["all arms"].draws, [0.025, 0.975], axis=0)
    return CostCurve(spend, whole["all arms"], low=low, high=high, curves=curves, findings=findings)


@dataclass(frozen=True, eq=False)
class _Scores:
    """Rows x offers."""

    effects: Numbers
    gains: Numbers
    costs: Numbers


@dataclass(frozen=True, eq=False)
class _Path:
    """Steps of customers from one offer to the next dearer one, the best first."""

    customer: Any
    cost: Numbers
    gain: Numbers
    """Doubly robust."""

    @classmethod
    def of(cls, scored: _Scores, offers: tuple[int, ...]) -> "_Path":
        """Hulls of all customers over some of the offers, merged."""
        columns = list(offers)
        steps = HullSteps.of(scored.effects[:, columns], scored.costs[:, columns])
        gain, order = steps.rises(scored.gains[:, columns]), steps.order_by_return()
        return cls(steps.row[order], steps.cost[order], gain[order])

    def end(self, weight: Numbers) -> float:
        """Spend a customer after the last step."""
        return float((self.cost * weight[self.customer]).sum() / weight.sum())

    def gains(self, spend: Numbers, weight: Numbers) -> Numbers:
        """Gain a customer at each budget; a step that the budget cuts counts in part."""
        weights = weight[self.customer] / weight.sum()
        return _interpolated(spend, np.cumsum(self.cost * weights), np.cumsum(self.gain * weights))


@dataclass(frozen=True, eq=False)
class _Untargeted:
    """Offers to customers at random: the hull of mean gains."""

    costs: Numbers
    gains_a_step: Numbers
    """Rows x steps."""

    @classmethod
    def of(cls, scored: _Scores) -> "_Untargeted":
        """The hull of mean estimated effects; its steps apply to everybody."""
        mean_cost, mean_effect = scored.costs.mean(axis=0), scored.effects.mean(axis=0)
        chosen = HullSteps.of(mean_effect[None], mean_cost[None]).choice
        costs = np.diff(scored.costs[:, chosen], axis=1, prepend=0.0)
        return cls(costs, np.diff(scored.gains[:, chosen], axis=1, prepend=0.0))

    def gains(self, spend: Numbers, weight: Numbers) -> Numbers:
        """Gain a customer at each budget."""
        share = weight / weight.sum()
        return _interpolated(spend, np.cumsum(share @ self.costs), np.cumsum(share @ self.gains_a_step))


def _interpolated(spend: Numbers, costs: Numbers, gains: Numbers) -> Numbers:
    """Gains at budgets along a path; steps without cost are taken at once, at the budget 0."""
    free = int(np.searchsorted(costs, 0.0, side="right"))
    start = gains[free - 1] if free else 0.0
    return np.interp(spend, np.r_[0.0, costs[free:]], np.r_[start, gains[free:]])
