"""The life table: the share that leaves in each period, of those at risk. The baseline of every hazard model."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from patron.schema.numbers import Numbers
from patron.tabular.columns import Index
from patron.tabular.hazards.observed_lifetimes import Lifetimes
from patron.tabular.hazards.person_periods import PersonPeriods
from patron.tabular.learners.classifier import log_odds

TAIL_SHARE = 0.1
"""Beyond the last period, the hazard is that of the last periods which hold this share of all time at risk."""
PRIOR_EVENTS = 10.0
MIN_AT_RISK = 20


@dataclass(frozen=True, eq=False)
class LifeTable:
    """Time at risk and events of each period, the first at place 0 (Kaplan and Meier 1958)."""

    at_risk: Numbers
    """Customers, one who was observed for half of the period as a half."""
    events: Numbers

    @classmethod
    def of(cls, lifetimes: Lifetimes) -> Self:
        """Count, without a row for each period."""
        length = int(lifetimes.last.max())
        steps = np.bincount(lifetimes.entered, minlength=length + 2) - np.bincount(lifetimes.last, minlength=length + 2)
        at_risk = np.cumsum(steps)[:length].astype(np.float64)
        at_risk -= np.bincount(lifetimes.last - 1, 1 - lifetimes.last_share, minlength=length)
        events = np.bincount(lifetimes.last - 1, lifetimes.is_event, minlength=length)
        return cls(at_risk, events.astype(np.float64))

    @classmethod
    def of_rows(cls, rows: PersonPeriods) -> Self:
        """Count person-periods."""
        length = int(rows.periods.max())
        sums = [np.bincount(rows.periods - 1, one, minlength=length) for one in (rows.weight, rows.label * rows.weight)]
        return cls(sums[0].astype(np.float64), sums[1].astype(np.float64))

    @property
    def overall(self) -> float:
        """Events over all time at risk."""
        return float(self.events.sum() / self.at_risk.sum())

    @property
    def longest_period(self) -> int:
        """The last period in which at least 20 customers were at risk, or the last one of fewer."""
        enough = np.flatnonzero(self.at_risk >= min(MIN_AT_RISK, self.at_risk.max()))
        return int(enough[-1]) + 1

    @property
    def tail(self) -> float:
        """The hazard of the last periods, a tenth of all time at risk."""
        from_end = np.cumsum(self.at_risk[::-1])
        count = int(np.searchsorted(from_end, TAIL_SHARE * from_end[-1])) + 1
        return float(self.events[-count:].sum() / self.at_risk[-count:].sum())

    @property
    def hazards(self) -> Numbers:
        """Share that leaves in each period; where nobody was at risk, that of the nearest period."""
        known = np.flatnonzero(self.at_risk > 0)
        hazards = self.events[known] / self.at_risk[known]
        places = np.arange(len(self.at_risk))
        after = np.minimum(np.searchsorted(known, places), len(known) - 1)
        before = np.maximum(after - 1, 0)
        nearest = np.where(np.abs(known[before] - places) < np.abs(known[after] - places), before, after)
        return hazards[nearest]

    def hazard(self, periods: Index) -> Numbers:
        """Hazard in each of some periods."""
        return np.append(self.hazards, self.tail)[np.minimum(periods - 1, len(self.at_risk))]

    def smooth_log_odds(self, periods: Index) -> Numbers:
        """Log-odds of leaving in each of some periods, shrunk towards those of all as if by ten events more."""
        prior = PRIOR_EVENTS / self.overall
        hazards = (self.events + PRIOR_EVENTS) / (self.at_risk + prior)
        return log_odds(hazards)[np.minimum(periods, self.longest_period) - 1]

    def excess(self, rows: PersonPeriods) -> Numbers:
        """Events less what the life table expects of each person-period: a martingale residual."""
        return rows.weight * (rows.label - self.hazard(rows.periods))
