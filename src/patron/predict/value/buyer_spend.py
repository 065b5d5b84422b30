"""What customers pay in the 90 days if they order; times the probability of an order it is their value.

Models of it learn from those who ordered alone. Somebody who has gone quiet is worth less because an order is unlikely,
and never because of what it would bring, so value and churn of one customer cannot contradict each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pyarrow as pa

from patron.estimators.boosted_trees import FittedTrees, Trees
from patron.estimators.saving import SAME_FOLDER, Saved
from patron.predict.value.training_matrix import LATER, TrainingMatrix, cap_of
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers, float_column

CAP_QUANTILE = 0.99
"""Models learn what buyers paid only up to this quantile: a few make most of the error."""
MIN_LARGE_SHARE = 1 / 3
"""Nobody is large below this part of the cap."""
SMALLEST = 1e-9
"""Smaller probabilities count as 0."""


class FittedSpend(Protocol):
    """A fitted model of what buyers spend, and how it is saved."""

    def save(self, folder: Path) -> None:
        """Write into a folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        ...

    def spend(self, rows: pa.Table, matrix: Numbers) -> Numbers:
        """Spend of each row's customer in the next 90 days if they order, cents; of rows `with_history`."""
        ...

    def contributions(self, matrix: Numbers) -> Numbers | None:
        """What each column of the matrix moved the logarithm of it by; None where only history does."""
        ...


class SpendModel(Protocol):
    """A model of what buyers spend."""

    complexity: ClassVar[int]
    module: ClassVar[str]
    """As of a learner."""
    fitted: ClassVar[type]

    @property
    def name(self) -> str:
        """Unique among them."""
        ...

    def fit(self, training: TrainingMatrix | None, others: Mapping[str, Any]) -> Any:
        """Fit to the buyers of past cutoffs, None where there are too few; `others` are fitted to them already.

        Raises NotEnoughData.
        """
        ...


def spend_of_history(rows: pa.Table) -> Numbers:
    """What buying history alone says somebody pays if they order: what is expected over the probability, cents."""
    expected = float_column(rows, "expected_paid_cents_90_days")
    probability = float_column(rows, "probability_of_order_90_days")
    one_order = float_column(rows, "expected_paid_cents_per_order_day")
    return np.divide(expected, probability, out=one_order.copy(), where=probability > SMALLEST)


@dataclass(frozen=True)
class FittedHistorySpend(Saved, file="history_spend.json"):
    """Nothing beyond the models of buying history, whose columns the rows bring."""

    def spend(self, rows: pa.Table, matrix: Numbers) -> Numbers:  # noqa: ARG002 - the protocol's signature
        """What buying history says, cents."""
        return spend_of_history(rows)

    def contributions(self, matrix: Numbers) -> None:  # noqa: ARG002 - the protocol's signature
        """None: there is no column by column here."""
        return


@dataclass(frozen=True)
class HistorySpend:
    """Spend that Pareto/NBD along the season and Gamma-Gamma expect, over the probability of an order, cents."""

    name: str = "history_spend"

    complexity: ClassVar[int] = 1
    module: ClassVar[str] = ""
    fitted: ClassVar[type] = FittedHistorySpend

    def fit(self, training: TrainingMatrix | None, others: Mapping[str, Any]) -> FittedHistorySpend:  # noqa: ARG002
        """Learn nothing: it needs no labels."""
        return FittedHistorySpend()


@dataclass(frozen=True)
class FittedBoostedSpend(Saved, file="boosted_spend.json"):
    """Trees over the features, for the logarithm of spend."""

    trees: FittedTrees = field(metadata=SAME_FOLDER)
    factor_cents: float
    """Brings the exponential of the trees to what buyers paid on the mean."""
    cap_cents: float
    corrects_history: bool
    """Whether the trees are a correction of what history says."""

    def spend(self, rows: pa.Table, matrix: Numbers) -> Numbers:
        """The mean that the trees say, up to the cap, cents."""
        start = log_history_spend(rows, self.cap_cents) if self.corrects_history else 0.0
        return np.minimum(np.exp(start + self.trees.raw(matrix)) * self.factor_cents, self.cap_cents)

    def contributions(self, matrix: Numbers) -> Numbers:
        """Exact Shapley values of each column for the logarithm."""
        return self.trees.contributions(matrix)


GAMMA, TWEEDIE, LOG_NORMAL = "gamma", "tweedie", "log_normal"
OBJECTIVES: Mapping[str, Mapping[str, Any]] = {
    GAMMA: {"objective": "gamma"},
    TWEEDIE: {"objective": "tweedie", "tweedie_variance_power": 1.3},
    LOG_NORMAL: {"objective": "l2"},
}
"""LightGBM settings of each loss."""


@dataclass(frozen=True)
class BoostedSpend:
    """LightGBM on the features of buyers, by default with a gamma loss, cents."""

    name: str = "boosted_spend"
    loss: str = GAMMA
    """GAMMA, TWEEDIE, or LOG_NORMAL: of the logarithm, the second part of ZILN (Wang, Liu & Miao 2019)."""
    corrects_history: bool = False
    """Whether trees correct the spend that buying history expects: the largest stay in proportion. Gamma loss only."""
    trees: Trees = field(default_factory=Trees)

    complexity: ClassVar[int] = 2
    module: ClassVar[str] = ""
    fitted: ClassVar[type] = FittedBoostedSpend

    def fit(self, training: TrainingMatrix | None, others: Mapping[str, Any]) -> FittedBoostedSpend:
        """Fit the trees to what buyers paid, up to the cap. Raises NotEnoughData."""
        if training is None:
            raise NotEnoughData("too few bought after the cutoffs to learn from", where=self.name, todo=LATER)
        stack = others.get(StackedSpend.name)
        if isinstance(stack, FittedStackedSpend) and self in MEMBERS:
            return stack.members[self.name]
        places, cap = training.buyers, cap_of(training.label, CAP_QUANTILE)
        paid = np.minimum(training.label[places], cap)
        scale = float(paid.mean())
        label = np.log(paid / scale) if self.loss == LOG_NORMAL else paid / scale
        start, objective = None, dict(OBJECTIVES[self.loss])
        if self.corrects_history:
            start = log_history_spend(training.rows, cap)[places]
            objective["boost_from_average"] = False
        begun = None if start is None else start - np.log(scale)
        trees = self.trees.fit(training.binned, label, objective, start=begun, rows=places)
        logs = trees.raw(training.matrix[places]) + (0.0 if start is None else start)
        factor = float(paid.mean() / np.exp(logs).mean())
        return FittedBoostedSpend(trees, factor, cap, self.corrects_history)


def log_history_spend(rows: pa.Table, cap_cents: float) -> Numbers:
    """Logarithm of what history says, up to the cap."""
    return np.log(np.clip(spend_of_history(rows), 1.0, cap_cents))


@dataclass(frozen=True)
class Excess:
    """What buyers pay beyond the cap that models of spend learn with, cents.

    Left out, it is missing from the very largest alone: on a wholesale-like shop a sixth of all that is paid. It is put
    back as what a customer's own history exceeds `from_cents` by, which is chosen so that over the buyers learned from
    as much is put back as was cut off.
    """

    cap_cents: float
    from_cents: float

    @classmethod
    def of(cls, paid: Numbers, history: Numbers, cap_cents: float) -> Self:
        """Learn from what was paid, and from what each one's history alone had said."""
        cut_off = np.maximum(paid - cap_cents, 0.0).sum()
        # what exceeds a threshold t is the largest, over k, of the sum of the k largest histories less k * t
        largest = np.cumsum(np.sort(history)[::-1])
        threshold = float(np.max((largest - cut_off) / np.arange(1, len(largest) + 1)))
        return cls(cap_cents, max(threshold, MIN_LARGE_SHARE * cap_cents))


@dataclass(frozen=True)
class FittedStackedSpend(Saved, file="stacked_spend.json"):
    """The mean of several models of spend, and what they leave out of the largest; history alone without buyers."""

    members: Mapping[str, FittedBoostedSpend]
    excess: Excess | None
    """None where nobody bought after a cutoff to learn from."""

    def spend(self, rows: pa.Table, matrix: Numbers) -> Numbers:
        """The mean of the members and of history, each up to the cap, and the excess, cents."""
        history = spend_of_history(rows)
        if self.excess is None:
            return history
        each = [member.spend(rows, matrix) for member in self.members.values()]
        mean = np.mean([*each, np.minimum(history, self.excess.cap_cents)], axis=0)
        return mean + np.maximum(history - self.excess.from_cents, 0.0)

    def contributions(self, matrix: Numbers) -> Numbers | None:
        """Those of the first member; None without any."""
        return next((member.contributions(matrix) for member in self.members.values()), None)

    @classmethod
    def part_kind(cls, name: str, content: Mapping[str, Any]) -> Any:  # noqa: ARG003 - as of all that are saved
        """Class of a member."""
        return FittedBoostedSpend


MEMBERS = (
    BoostedSpend(),
    BoostedSpend("corrected_history", corrects_history=True, trees=Trees(rounds=80, learning_rate=0.04)),
    BoostedSpend("log_normal_spend", LOG_NORMAL),
    BoostedSpend("tweedie_spend", TWEEDIE),
)


@dataclass(frozen=True)
class StackedSpend:
    """The mean of four boosted models and of buying history, or history alone where the shop is too young, cents."""

    name: str = "stacked_spend"

    complexity: ClassVar[int] = 4
    module: ClassVar[str] = ""
    fitted: ClassVar[type] = FittedStackedSpend

    def fit(self, training: TrainingMatrix | None, others: Mapping[str, Any]) -> FittedStackedSpend:  # noqa: ARG002
        """Fit every member to the same buyers."""
        if training is None:
            return FittedStackedSpend({}, None)
        members = {one.name: one.fit(training, {}) for one in MEMBERS}
        history = spend_of_history(training.rows)[training.buyers]
        cap = cap_of(training.label, CAP_QUANTILE)
        return FittedStackedSpend(members, Excess.of(training.label[training.buyers], history, cap))
