"""The mean of the models of value, what it leaves out of the largest customers, and a total that the shop has."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Self, cast

import numpy as np
import pyarrow as pa

from patron.predict.learner import FORECAST, Fitted, Learner, forecasts, newest
from patron.predict.value.boosted_value import Boosted, BoostedBlend, FittedBoosted, history_models
from patron.predict.value.btyd_learners import RecentBlend
from patron.predict.value.shop_total import ShopTotal, shop_total
from patron.predict.value.training_matrix import TrainingMatrix, cap_of, with_history
from patron.predict.value.two_stage import FittedStages, TwoStage, ZeroInflatedLogNormal
from patron.schema.errors import NotEnoughData
from patron.schema.json_files import read_json, write_json
from patron.schema.numbers import Numbers, float_column

SAVED = "stacked.json"
MEMBERS: tuple[Learner, ...] = (RecentBlend(), BoostedBlend(), Boosted(), TwoStage(), ZeroInflatedLogNormal())
FURTHEST = 2.0
"""Forecasts are changed by no more than this factor to add up to the shop's total."""
EXPLAINS = Boosted.name
"""The member whose reasons are shown; it knows all features."""
LARGE = RecentBlend.name
"""The member that learns from no labels, so that none are cut off for it: it tells the largest customers apart."""
SMALLEST_LARGE = 1 / 3
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
        return cls(cap, max(threshold, SMALLEST_LARGE * cap))

    def put_back(self, members: Mapping[str, Numbers]) -> Numbers:
        """The mean of the members' forecasts, each up to the cap, and the excess."""
        mean = np.mean([np.minimum(one, self.cap_cents) for one in members.values()], axis=0)
        return mean + np.maximum(members[LARGE] - self.from_cents, 0.0)


@dataclass(frozen=True)
class FittedStack:
    """Several fitted models of value; each counts the same, and a factor makes them add up."""

    members: Mapping[str, Fitted]
    excess: Excess
    factor: float
    total: ShopTotal

    @property
    def adds_up_to(self) -> ShopTotal | None:
        """The shop's total that forecasts add up to; None where the factor would have been too large."""
        return self.total if 1 / FURTHEST < self.factor < FURTHEST else None

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast spend in the next 90 days, cents."""
        return forecasts(self.excess.put_back(member_forecasts(self.members, table)) * self.factor)

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What moved the logarithm of the forecast of the member with all features."""
        return cast("FittedBoosted", self.members[EXPLAINS]).contributions(table)

    def save(self, folder: Path) -> None:
        """Write every member into a folder of its own, and the factor."""
        for name, member in self.members.items():
            (folder / name).mkdir()
            member.save(folder / name)
        write_json(folder / SAVED, {"excess": asdict(self.excess), "factor": self.factor, "total": self.total.saved()})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        saved = read_json(folder / SAVED)
        members = {one.name: one.fitted.load(folder / one.name) for one in MEMBERS}
        return cls(members, Excess(**saved["excess"]), saved["factor"], ShopTotal(**saved["total"]))


@dataclass(frozen=True)
class Stacked:
    """The mean of five models of value, cents; its sum is the shop's forecast, unless that is twice or half of it."""

    name: ClassVar[str] = "stacked"
    is_baseline: ClassVar[bool] = False
    complexity: ClassVar[int] = 7
    exemptions: ClassVar[Mapping[str, str]] = {}
    fitted: ClassVar[type] = FittedStack

    def fit(self, table: pa.Table) -> FittedStack:
        """Fit every member and the shop's total. Raises NotEnoughData."""
        return self.fit_from(table, {})

    def fit_from(self, table: pa.Table, others: Mapping[str, Fitted]) -> FittedStack:
        """As `fit`, with members that are fitted to this table already. Raises NotEnoughData."""
        blend = others.get(RecentBlend.name) or RecentBlend().fit(table)
        training = TrainingMatrix.of(table, history_models({RecentBlend.name: blend}))
        two_stage = TwoStage().fit_matrix(training)
        members = {
            RecentBlend.name: blend,
            BoostedBlend.name: BoostedBlend().fit_matrix(training),
            Boosted.name: others.get(Boosted.name) or Boosted().fit_matrix(training),
            TwoStage.name: two_stage,
            ZeroInflatedLogNormal.name: ZeroInflatedLogNormal().fit_matrix(training, two_stage.buys),
        }
        history = float_column(blend.predict(training.rows), FORECAST)
        excess = Excess.of(training.label, history, Boosted().cap_quantile)
        modelled = excess.put_back(member_forecasts(members, newest(table)))
        if modelled.sum() <= 0:
            raise NotEnoughData("nobody is expected to buy", where="stacked", todo="Import what happened since.")
        total = shop_total(table, modelled)
        factor = float(np.clip(total.cents / modelled.sum(), 1 / FURTHEST, FURTHEST))
        return FittedStack(members, excess, factor, total)


def member_forecasts(members: Mapping[str, Fitted], table: pa.Table) -> dict[str, Numbers]:
    """What each member forecasts, cents. Those with all features were fitted to one matrix, and see one here."""
    with_matrix = {name: one for name, one in members.items() if isinstance(one, FittedBoosted | FittedStages)}
    first = next(iter(with_matrix.values()))
    rows = table if first.models is None else with_history(table, first.models)
    matrix = first.design.matrix(rows)
    found = {name: one.forecast(rows, matrix) for name, one in with_matrix.items()}
    return {
        name: found[name] if name in found else float_column(member.predict(table), FORECAST)
        for name, member in members.items()
    }
