"""Which policy to use: an uplift model's, or a simpler one that it does not beat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from patron.estimators.bootstrap import Interval
from patron.schema.numbers import Numbers
from patron.uplift.fitted_uplift import FittedUplift
from patron.uplift.leaf_effects import NORMAL_95
from patron.uplift.scored_trial import ScoredTrial, offer_costs
from patron.uplift.trial import as_table

PolicyKind = Literal["uplift", "response", "single_arm", "none"]


@dataclass(frozen=True, eq=False)
class Policy:
    """Who gets which offer, and why so."""

    kind: PolicyKind
    arm: str | None
    """The arm for everybody, for `single_arm` and `none`; of `response` and `uplift` None."""
    reason: str
    """Why this one, in a sentence or two."""
    values: Mapping[PolicyKind, Interval]
    """Net value a customer of each candidate above no offers, in the unit of value."""
    gains: Mapping[PolicyKind, Interval]
    """How much more the uplift policy is worth a customer than each simpler one, from the same rows."""
    findings: tuple[str, ...]
    fitted: FittedUplift
    cost: Mapping[Any, Any]
    value: float
    offer: str
    """The best offer to everybody, which `response` gives to those above `threshold`."""
    threshold: float
    """Least expected outcome with an offer, of `response`."""

    @property
    def refused(self) -> bool:
        """Whether the uplift policy was not worth its complication."""
        return self.kind != "uplift"

    def decide(self, table: Any) -> npt.NDArray[np.str_]:
        """Name of each row's arm; the control's for no offer."""
        rows = as_table(table)
        arms = np.array(self.fitted.arms)
        if self.arm is not None:
            return np.full(rows.num_rows, self.arm)
        if self.kind == "response":
            return np.where(self.fitted.response(rows) >= self.threshold, self.offer, self.fitted.control)
        costs = offer_costs(self.cost, self.fitted.arms, rows)
        return arms[_best_arm(self.value * self.fitted.effect_matrix(rows), costs)]


def choose_policy(  # noqa: PLR0913 - what a trial is
    fitted: FittedUplift,
    table: Any,
    *,
    treatment: str,
    control: Any = 0,
    outcome: str,
    cost: Mapping[Any, Any],
    value: float = 1.0,
    propensity: Any = None,
    seed: int = 0,
) -> Policy:
    """The simplest policy that no more complicated one beats, judged on customers that the fit has not seen.

    Candidates, simplest first: no offers; the best offer to everybody; the best offer to those with the largest
    expected outcome, as many as the uplift policy makes offers to; of each customer the offer with the largest
    expected net value, if above 0. One is taken only if the 95 % interval of its gain over each simpler one, on the
    same rows, is above 0.

    Args:
        fitted: Effects from other rows.
        table: One row per customer.
        treatment: Column with the arm of each row.
        control: The arm without an offer.
        outcome: Column that the fit learned.
        cost: {offer: cost of one}, a number or a column's name, in the unit of value.
        value: What one unit of outcome is worth.
        propensity: As in `fit`; None: as declared there by arm or column, else estimated.
        seed: Of folds.

    Raises BadTrial, NotEnoughData.
    """
    columns = treatment, control, outcome
    scored = ScoredTrial.of(fitted, table, columns, cost=cost, value=value, propensity=propensity, seed=seed)
    best = int((scored.gains - scored.costs).mean(axis=0).argmax())
    chosen = _best_arm(scored.effects, scored.costs)
    response = fitted.response(scored.table)
    threshold = _threshold(response, int((chosen > 0).sum()))
    parts = _net_values(scored.gains - scored.costs, best, response >= threshold, chosen)
    kind, offer = _simplest_unbeaten(parts), fitted.offers[best]
    values: dict[PolicyKind, Interval] = {one: _mean(part) for one, part in parts.items()}
    gains: dict[PolicyKind, Interval] = {
        policy: _mean(parts["uplift"] - part) for policy, part in parts.items() if policy != "uplift"
    }
    return Policy(
        kind=kind,
        arm={"none": fitted.control, "single_arm": offer}.get(kind),
        reason=_reason(kind, offer, gains, values, chosen),
        values=values,
        gains=gains,
        findings=(*fitted.findings, *scored.findings),
        fitted=fitted,
        cost=dict(cost),
        value=value,
        offer=offer,
        threshold=threshold,
    )


def _net_values(
    net: Numbers, best: int, responds: npt.NDArray[np.bool_], chosen: npt.NDArray[np.intp]
) -> dict[PolicyKind, Numbers]:
    """Net value of each row under each candidate, simplest first; doubly robust, so right on average only."""
    return {
        "none": np.zeros(len(net)),
        "single_arm": net[:, best],
        "response": np.where(responds, net[:, best], 0.0),
        "uplift": np.where(chosen > 0, net[np.arange(len(net)), chosen - 1], 0.0),
    }


def _best_arm(effects: Numbers, costs: Numbers) -> npt.NDArray[np.intp]:
    """Place of the arm with the largest expected net value; 0, the control, where none is above 0."""
    net = effects - costs
    return np.where(net.max(axis=1) > 0, net.argmax(axis=1) + 1, 0)


def _threshold(response: Numbers, count: int) -> float:
    """The least of the `count` largest expected outcomes."""
    return float(np.sort(response)[len(response) - count]) if count else np.inf


def _simplest_unbeaten(parts: Mapping[PolicyKind, Numbers]) -> PolicyKind:
    order = tuple(parts)
    kind = order[0]
    for at, one in enumerate(order[1:], start=1):
        if all(_mean(parts[one] - parts[simpler]).low > 0 for simpler in order[:at]):
            kind = one
    return kind


def _mean(values: Numbers) -> Interval:
    """Mean with its 95 % interval."""
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(mean, mean - NORMAL_95 * error, mean + NORMAL_95 * error)


NAMES: Mapping[PolicyKind, str] = {
    "none": "no offers at all",
    "single_arm": "{offer} to everybody",
    "response": "{offer} to those with the largest expected outcome",
    "uplift": "to each customer the offer that pays most",
}


def _reason(
    kind: PolicyKind,
    offer: str,
    gains: Mapping[PolicyKind, Interval],
    values: Mapping[PolicyKind, Interval],
    chosen: npt.NDArray[np.intp],
) -> str:
    """Why this policy, with the numbers behind it."""
    name = NAMES[kind].format(offer=offer)
    if kind == "uplift":
        weakest = min(gains, key=lambda simpler: gains[simpler].low)
        other = NAMES[weakest].format(offer=offer)
        return (
            f"The uplift policy makes offers to {(chosen > 0).mean():.0%} of the customers and is worth "
            f"{_written(values['uplift'])} a customer more than no offers, and {_written(gains[weakest])} more than "
            f"{other}, the closest simpler policy."
        )
    unbeaten: list[PolicyKind] = [policy for policy, gain in gains.items() if gain.low <= 0]
    rival: PolicyKind = kind if kind in unbeaten else max(unbeaten, key=lambda simpler: values[simpler].value)
    other = NAMES[rival].format(offer=offer)
    if not (chosen > 0).any():
        why = "makes no offers"
    elif gains[rival].low == gains[rival].high == 0:
        why = f"decides as {other} does"
    else:
        why = f"is worth {_written(gains[rival])} a customer more than {other}, which may be nothing"
    worth = "" if kind == "none" else f" This is worth {_written(values[kind])} a customer more than no offers."
    return f"Use {name}: the uplift policy {why}.{worth}"


def _written(one: Interval) -> str:
    return f"{one.value:.4g} [{one.low:.4g}, {one.high:.4g}]"
