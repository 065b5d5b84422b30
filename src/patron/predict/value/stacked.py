"""The mean of the models of value, and what it leaves out of the largest customers."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

import numpy as np
import pyarrow as pa

from patron.estimators.learner import FORECAST, Explains, Fitted, Learner, forecasts
from patron.estimators.saving import Saved
from patron.predict.value.boosted_value import Boosted, BoostedBlend, FittedBoosted, history_models
from patron.predict.value.btyd_learners import RecentBlend
from patron.predict.value.training_matrix import TrainingMatrix, cap_of, with_history
from patron.predict.value.two_stage import FittedStages, TwoStage, ZeroInflatedLogNormal
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers, float_column

MEMBERS: tuple[Learner, ...] = (RecentBlend(), BoostedBlend(), Boosted(), TwoStage(), ZeroInflatedLogNormal())
EXPLAINS = Boosted.name
"""The member whose reasons are shown; it knows all features."""
LARGE = RecentBlend.name
"""The member that learns from no labels, so that none are cut off for it: it tells the largest customers apart."""
MIN_LARGE_SHARE = 1 / 3
"""Nobody is large below this part of the cap."""


@dataclass(frozen=True)
class Excess:
    """What customers pay beyond the cap that the models of value learn with, cents.

    Left out, it is missing from the very largest alone: on a wholesale-like shop a sixth of all that is paid. It is put
    back as what a customer's own history exceeds `from_cents` by, which is chosen so that over the rows learned from as
    much is put back as was cut off.
    """

    cap_cents: float
    from_cents: float

    @classmethod
    def of(cls, label: Numbers, history: Numbers, cap_quantile: float) -> Self:
        """Learn from what was paid, and from what each one's history alone had forecast."""
        cap = cap_of(label, cap_quantile)
        cut_off = np.maximum(label - cap, 0.0).sum()
        # what exceeds a threshold t is the largest, over k, of the sum of the k largest histories less k * t
        largest = np.cumsum(np.sort(history)[::-1])
        threshold = float(np.max((largest - cut_off) / np.arange(1, len(largest) + 1)))
        return cls(cap, max(threshold, MIN_LARGE_SHARE * cap))

    def put_back(self, members: Mapping[str, Numbers]) -> Numbers:
        """The mean of the members' forecasts, each up to the cap, and the excess."""
        mean = np.mean([np.minimum(member, self.cap_cents) for member in members.values()], axis=0)
        return mean + np.maximum(members[LARGE] - self.from_cents, 0.0)


@dataclass(frozen=True)
class FittedStack(Saved, file="stacked.json"):
    """Several fitted models of value; each counts the same."""

    members: Mapping[str, Fitted]
    excess: Excess | None
    """None where nothing was cut off, as no member has learned from labels."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast spend in the next 90 days, cents."""
        each = member_forecasts(self.members, table)
        return forecasts(each[LARGE] if self.excess is None else self.excess.put_back(each))

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What moved the forecast: its logarithm, of the member with all features, or of buying history in cents."""
        return cast("Explains", self.members.get(EXPLAINS) or self.members[LARGE]).contributions(table)

    @classmethod
    def part_kind(cls, name: str, content: Mapping[str, Any]) -> Any:  # noqa: ARG003 - as of all that are saved
        """Class of a member."""
        return next(member.fitted for member in MEMBERS if member.name == name)


@dataclass(frozen=True)
class Stacked(Learner):
    """The mean of five models of value, or of those that the history is long enough for, cents."""

    name: ClassVar[str] = "stacked"
    complexity: ClassVar[int] = 7
    fitted: ClassVar[type] = FittedStack

    def fit(self, table: pa.Table) -> FittedStack:
        """Fit every member that can be. Raises NotEnoughData where buying history is too short for any."""
        return self.fit_from(table, {})

    def fit_from(self, table: pa.Table, others: Mapping[str, Fitted]) -> FittedStack:
        """As `fit`, with members that are fitted to this table already. Raises NotEnoughData."""
        blend = others.get(RecentBlend.name) or RecentBlend().fit(table)
        try:
            training = TrainingMatrix.of(table, history_models({RecentBlend.name: blend}))
        except NotEnoughData:
            return FittedStack({RecentBlend.name: blend}, None)
        members = {RecentBlend.name: blend} | _fit_members(training, others.get(Boosted.name))
        if len(members) == 1:
            return FittedStack(members, None)
        history = float_column(blend.predict(training.rows), FORECAST)
        return FittedStack(members, Excess.of(training.label, history, Boosted().cap_quantile))


def _fit_members(training: TrainingMatrix, boosted: Fitted | None) -> dict[str, Fitted]:
    """The members that learn from labels; those that cannot be fitted are left out."""
    members: dict[str, Fitted] = {}
    with suppress(NotEnoughData):
        members[BoostedBlend.name] = BoostedBlend().fit_matrix(training)
        members[Boosted.name] = boosted or Boosted().fit_matrix(training)
    with suppress(NotEnoughData):
        two_stage = TwoStage().fit_matrix(training)
        members[TwoStage.name] = two_stage
        members[ZeroInflatedLogNormal.name] = ZeroInflatedLogNormal().fit_matrix(training, two_stage.buys)
    return members


def member_forecasts(members: Mapping[str, Fitted], table: pa.Table) -> dict[str, Numbers]:
    """What each member forecasts, cents. Those with all features were fitted to one matrix, and see one here."""
    with_matrix = {name: one for name, one in members.items() if isinstance(one, FittedBoosted | FittedStages)}
    found: dict[str, Numbers] = {}
    if with_matrix:
        first = next(iter(with_matrix.values()))
        rows = table if first.models is None else with_history(table, first.models)
        matrix = first.design.matrix(rows)
        found = {name: one.forecast(rows, matrix) for name, one in with_matrix.items()}
    return {
        name: found[name] if name in found else float_column(member.predict(table), FORECAST)
        for name, member in members.items()
    }
