"""A learner of value whose forecasts add up to the shop's total: it says who pays what, the shop what in all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from patron.estimators.learner import FORECAST, Explains, FitsFromOthers, Fitted, Learner, forecasts, newest
from patron.estimators.saving import Saved
from patron.predict.value.boosted_value import Boosted, BoostedBlend
from patron.predict.value.btyd_inputs import OrdersAndSpend
from patron.predict.value.btyd_learners import FittedBtyd, ParetoSpend, RecentBlend
from patron.predict.value.shop_total import ShopTotal, shop_total
from patron.predict.value.stacked import Stacked
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers, float_column

SCALABLE: tuple[Learner, ...] = (ParetoSpend(), RecentBlend(), BoostedBlend(), Boosted(), Stacked())


@dataclass(frozen=True)
class FittedScaledToTotal(Saved, file="level.json"):
    """A fitted learner, and the factor that makes its forecasts add up to the shop's total."""

    name: str
    learner: Fitted
    factor: float
    total: ShopTotal

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast spend in the next 90 days, cents."""
        return forecasts(float_column(self.learner.predict(table), FORECAST) * self.factor)

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What moved the learner's forecast."""
        explains = self.learner
        return explains.contributions(table) if isinstance(explains, Explains) else ((), np.zeros((table.num_rows, 0)))

    @classmethod
    def part_kind(cls, name: str, content: Mapping[str, Any]) -> Any:  # noqa: ARG003 - as of all that are saved
        """Class of the fitted learner."""
        return next(one.fitted for one in SCALABLE if one.name == content["name"])


@dataclass(frozen=True)
class ScaledToTotal:
    """Forecasts of a learner, by its name, that add up to the shop's total, cents."""

    learner: Learner

    fitted: ClassVar[type] = FittedScaledToTotal

    @property
    def name(self) -> str:
        """The learner's."""
        return self.learner.name

    @property
    def is_baseline(self) -> bool:
        """The learner's."""
        return self.learner.is_baseline

    @property
    def complexity(self) -> int:
        """The learner's."""
        return self.learner.complexity

    @property
    def exemptions(self) -> Mapping[str, str]:
        """The learner's."""
        return self.learner.exemptions

    def fit(self, table: pa.Table) -> FittedScaledToTotal:
        """Fit the learner and the shop's total. Raises NotEnoughData."""
        return self.fit_from(table, {})

    def fit_from(self, table: pa.Table, others: Mapping[str, Fitted]) -> FittedScaledToTotal:
        """As `fit`, with learners that are fitted to this table already. Raises NotEnoughData."""
        within = {name: one.learner for name, one in others.items() if isinstance(one, FittedScaledToTotal)}
        fits_from_others = isinstance(self.learner, FitsFromOthers)
        learner = self.learner.fit_from(table, within) if fits_from_others else self.learner.fit(table)
        known = within.get(RecentBlend.name)
        history = known.models if isinstance(known, FittedBtyd) else OrdersAndSpend.fit(newest(table))
        modelled = float_column(learner.predict(newest(table)), FORECAST)
        if modelled.sum() <= 0:
            raise NotEnoughData("nobody is expected to buy", where=self.name, todo="Import what happened since.")
        total = shop_total(table, modelled, history)
        return FittedScaledToTotal(self.name, learner, total.cents / float(modelled.sum()), total)
