"""Net value against budget: what every other budget would be worth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from patron.allocation.increments import Increments
from patron.schema.numbers import Numbers


@dataclass(frozen=True, eq=False)
class Curve:
    """The best net value at each budget, between whole offers too: rising, and ever slower."""

    budget: Numbers
    """Rising to what all offers worth making cost, from 0 or from what the floors need."""
    value: Numbers

    @classmethod
    def of(cls, increments: Increments) -> "Curve":
        """The curve of a budget alone: exact everywhere."""
        is_free = increments.cost == 0
        start = float(increments.gain[is_free].sum())
        gain, cost = increments.gain[~is_free], increments.cost[~is_free]
        return cls(np.append(0.0, np.cumsum(cost)), np.append(start, start + np.cumsum(gain)))

    def __getitem__(self, name: str) -> Numbers:
        """A column by its name."""
        return {"budget": self.budget, "value": self.value}[name]

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Both columns, for whatever reads Arrow streams."""
        return self.to_table().__arrow_c_stream__(requested_schema)

    def to_table(self) -> pa.Table:
        """Columns budget and value."""
        return pa.table({"budget": self.budget, "value": self.value})

    def value_at(self, budget: float | Numbers) -> Any:
        """Best net value at one budget or several; NaN below the first point, where the floors need more money."""
        return np.interp(budget, self.budget, self.value, left=np.nan)

    def price_at(self, budget: float | Numbers) -> Any:
        """Net value of one more unit of budget; 0 from the last point on, NaN below the first."""
        at = np.searchsorted(self.budget, budget, side="right") - 1
        rise, run = np.append(np.diff(self.value), 0.0), np.append(np.diff(self.budget), 1.0)
        slope = np.divide(rise, run, out=np.zeros(len(rise)), where=run > 0)
        return np.where(at >= 0, slope[at], np.nan)[()]
