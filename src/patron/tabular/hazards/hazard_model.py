"""What every hazard model is, the life table as one, and what a fit learned in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa

from patron.schema.numbers import Numbers
from patron.tabular.columns import Index
from patron.tabular.hazards.life_table import LifeTable


class HazardModel(Protocol):
    """What gives each customer and period its hazard."""

    kind: ClassVar[str]

    def hazard(self, matrix: Any, periods: Index, ahead: Index | None) -> Numbers:
        """Probability of leaving in the period, 0 to 1, for each row; `ahead` counts from when features were taken."""
        ...

    def contributions(self, matrix: Any, periods: Index, ahead: Index | None) -> tuple[Numbers, float]:
        """Shapley values of the log-odds, the last column time; and where they start."""
        ...

    def facts(self) -> Mapping[str, str]:
        """What a summary shows."""
        ...

    def effects(self, names: tuple[str, ...]) -> Mapping[str, list[Any]]:
        """What each column does, as columns of a table."""
        ...


@dataclass(frozen=True, eq=False)
class LifeTableHazards:
    """The life table as a model: the same hazards for everybody."""

    life_table: LifeTable

    kind: ClassVar[str] = "baseline"

    def hazard(self, matrix: Any, periods: Index, ahead: Index | None) -> Numbers:  # noqa: ARG002 - the protocol's signature
        """Probability of leaving in the period, 0 to 1, for each row."""
        return self.life_table.hazard(periods)

    def contributions(
        self,
        matrix: Any,
        periods: Index,
        ahead: Index | None,  # noqa: ARG002 - the protocol's signature
    ) -> tuple[Numbers, float]:
        """Nothing but time contributes."""
        base = float(self.life_table.smooth_log_odds(periods).mean()) if len(periods) else 0.0
        parts = np.zeros((len(periods), matrix.shape[1] + 1))
        parts[:, -1] = self.life_table.smooth_log_odds(periods) - base
        return parts, base

    def facts(self) -> Mapping[str, str]:
        """What a summary shows."""
        return {"hazard after the last period": f"{self.life_table.tail:.4f}"}

    def effects(self, names: tuple[str, ...]) -> Mapping[str, list[Any]]:  # noqa: ARG002 - the protocol's signature
        """The table itself."""
        one = self.life_table
        periods = list(range(1, len(one.at_risk) + 1))
        return {"period": periods, "at_risk": one.at_risk.tolist(), "events": one.events.tolist()}


@dataclass(frozen=True, repr=False)
class HazardSummary:
    """What a fit learned; printing it shows all."""

    title: str
    table: pa.Table
    """What each column does: odds ratios with standard errors, gains of splits, or the life table."""
    facts: Mapping[str, str]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        rows = [tuple(self.table.column_names), *(tuple(map(_cell, row.values())) for row in self.table.to_pylist())]
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        facts = [f"{name}: {value}" for name, value in self.facts.items()]
        return "\n".join([self.title, *lines, *facts, *self.notes])

    __repr__ = __str__


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
