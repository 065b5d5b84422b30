"""Segments as rules over the columns of the matrix, with the effect of an offer in each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.schema.numbers import Numbers
from patron.uplift.feature_encoding import FeatureEncoding

NORMAL_95 = 1.959963984540054
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Condition:
    """A column of the matrix above a threshold, or not."""

    column: int
    threshold: float
    is_above: bool

    def holds(self, matrix: Numbers) -> Mask:
        """Whether it holds, row by row."""
        is_above = matrix[:, self.column] > self.threshold
        return is_above if self.is_above else ~is_above


@dataclass(frozen=True, eq=False)
class LeafEffects:
    """Effect of one offer in each segment."""

    rules: tuple[tuple[Condition, ...], ...]
    effects: Numbers
    errors: Numbers
    shares: Numbers
    """Share of the customers in each, 0 to 1."""

    def predict(self, matrix: Numbers) -> Numbers:
        """Effect of each row's segment, in the outcome's unit."""
        return self._of_rows(matrix, self.effects)

    def standard_error(self, matrix: Numbers) -> Numbers:
        """Standard error of `predict`, in the outcome's unit."""
        return self._of_rows(matrix, self.errors)

    def _of_rows(self, matrix: Numbers, values: Numbers) -> Numbers:
        filled = np.zeros(len(matrix))
        for rule, value in zip(self.rules, values, strict=True):
            filled[rule_holds(rule, matrix)] = value
        return filled


@dataclass(frozen=True)
class Segment:
    """Customers of one rule, and what offers change for them."""

    rule: str
    """Such as "channel is Web and history above 250"."""
    sentence: str
    share: float
    """Of the customers, 0 to 1."""
    effects: Mapping[str, tuple[float, float, float]]
    """By offer: effect and the ends of its 95 % interval, in the outcome's unit."""


def rule_holds(rule: tuple[Condition, ...], matrix: Numbers) -> Mask:
    """Whether all conditions hold, row by row."""
    rows = np.ones(len(matrix), dtype=bool)
    for one in rule:
        rows &= one.holds(matrix)
    return rows


def written_rule(rule: tuple[Condition, ...], encoding: FeatureEncoding) -> str:
    """A rule in words, in the columns' units; of several thresholds of a column the tightest."""
    tightest: dict[tuple[int, bool], Condition] = {}
    for one in rule:
        before = tightest.get((one.column, one.is_above))
        if before is None or (one.threshold > before.threshold) == one.is_above:
            tightest[one.column, one.is_above] = one
    parts = [encoding.condition(one.column, one.threshold, is_above=one.is_above) for one in tightest.values()]
    return " and ".join(parts) or "all customers"


def segment_of(rule: str, place: int, trees: Mapping[str, LeafEffects]) -> Segment:
    """A segment in words, from the effects of each offer."""
    effects = {}
    for offer, tree in trees.items():
        effect, half = float(tree.effects[place]), NORMAL_95 * float(tree.errors[place])
        effects[offer] = (effect, effect - half, effect + half)
    parts = [
        f"{offer} changes the outcome by {value:+.4g} [{low:+.4g}, {high:+.4g}]"
        for offer, (value, low, high) in effects.items()
    ]
    share = trees[next(iter(trees))].shares[place]
    return Segment(
        rule, f"{rule[0].upper()}{rule[1:]} ({share:.0%} of the customers): {'; '.join(parts)}.", float(share), effects
    )
