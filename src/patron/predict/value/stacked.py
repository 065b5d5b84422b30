"""The mean of the models of value, made to add up to what the shop as a whole will take."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self, cast

import numpy as np
import pyarrow as pa

from patron.base.errors import NotEnoughData
from patron.predict.learner import FORECAST, Fitted, Learner, Numbers, column, forecasts, newest, read_json, write_json
from patron.predict.value.boosted import Boosted, BoostedBlend, FittedBoosted
from patron.predict.value.buying_history import RecentBlend
from patron.predict.value.shop_total import ShopTotal, shop_total
from patron.predict.value.two_stage import TwoStage, ZeroInflatedLogNormal

SAVED = "stacked.json"
MEMBERS: tuple[Learner, ...] = (RecentBlend(), BoostedBlend(), Boosted(), TwoStage(), ZeroInflatedLogNormal())
FURTHEST = 2.0
"""Forecasts are changed by no more than this factor to add up to the shop's total."""
EXPLAINS = Boosted.name
"""The member whose reasons are told; it knows all features."""


@dataclass(frozen=True)
class FittedStack:
    """Several fitted models of value; each counts the same, and a factor makes them add up."""

    members: Mapping[str, Fitted]
    factor: float
    total: ShopTotal

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast spend in the next 90 days, cents."""
        return forecasts(_mean(self.members, table) * self.factor)

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What moved the logarithm of the forecast of the member with all features."""
        return cast("FittedBoosted", self.members[EXPLAINS]).contributions(table)

    def save(self, folder: Path) -> None:
        """Write every member into a folder of its own, and the factor."""
        for name, member in self.members.items():
            (folder / name).mkdir()
            member.save(folder / name)
        write_json(folder / SAVED, {"factor": self.factor, "total": self.total.saved()})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        saved = read_json(folder / SAVED)
        members = {one.name: one.fitted.load(folder / one.name) for one in MEMBERS}
        return cls(members, saved["factor"], ShopTotal(**saved["total"]))


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
        return self.combined(table, {})

    def combined(self, table: pa.Table, fitted: Mapping[str, Fitted]) -> FittedStack:
        """As `fit`, with members that are fitted to this table already. Raises NotEnoughData."""
        members = {one.name: fitted.get(one.name) or one.fit(table) for one in MEMBERS}
        modelled = _mean(members, newest(table))
        if modelled.sum() <= 0:
            raise NotEnoughData("nobody is expected to buy", where="stacked", todo="Import what happened since.")
        total = shop_total(table, modelled)
        factor = float(np.clip(total.cents / modelled.sum(), 1 / FURTHEST, FURTHEST))
        return FittedStack(members, factor, total)


def _mean(members: Mapping[str, Fitted], table: pa.Table) -> Numbers:
    each = [column(member.predict(table), FORECAST) for member in members.values()]
    return np.mean(each, axis=0)
