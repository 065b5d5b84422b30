"""Probabilities that mean what they say: Platt's two numbers, learned on a later moment, never on a random part."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.optimize import minimize
from scipy.special import expit

from patron.predict.learner import LABEL, Numbers, column, labelled

LARGEST_LOG_ODDS = 30.0
FEWEST_ROWS = 200
STEEPEST = 2.0


@dataclass(frozen=True)
class Calibration:
    """Log-odds become `slope * log-odds + shift`; (1, 0) changes nothing."""

    slope: float = 1.0
    shift: float = 0.0

    def probability(self, log_odds: Numbers) -> Numbers:
        """Probability, 0 to 1."""
        return expit(np.clip(self.slope * log_odds + self.shift, -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS))

    def saved(self) -> dict[str, Any]:
        """The two numbers as JSON can hold them."""
        return asdict(self)

    @classmethod
    def fit(cls, log_odds: Numbers, label: Numbers) -> Self:
        """Least log loss, with the slope kept within 0 and 2: calibration never turns a ranking round."""
        happened = label.sum()
        # Platt's targets: not quite 0 and 1, so that a small sample does not ask for infinite log-odds.
        target = np.where(label > 0, (happened + 1) / (happened + 2), 1 / (len(label) - happened + 2))

        def loss(numbers: Numbers) -> tuple[float, Numbers]:
            z = numbers[0] * log_odds + numbers[1]
            wrong = expit(z) - target
            return float(np.mean(np.logaddexp(0, z) - target * z)), np.array([np.mean(wrong * log_odds), wrong.mean()])

        bounds = [(0.0, STEEPEST), (-LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)]
        found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds)
        return cls(float(found.x[0]), float(found.x[1]))


def fit_calibration(table: pa.Table, fit: Callable[[pa.Table], Callable[[pa.Table], Numbers]]) -> Calibration:
    """Fit without the newest labelled moment, and calibrate on it; unchanged when there is only one such moment.

    `fit` takes labelled rows and returns what gives log-odds. The model that is kept is then fitted to all moments.
    """
    rows = labelled(table)
    moments: list[datetime] = sorted(set(rows["as_of"].to_pylist()))
    if len(moments) < 2:
        return Calibration()
    is_last = pc.equal(rows["as_of"], pa.scalar(moments[-1], rows.schema.field("as_of").type))
    earlier, later = rows.filter(pc.invert(is_last)), rows.filter(is_last)
    outcomes = [column(part, LABEL) for part in (earlier, later)]
    if min(len(one) for one in outcomes) < FEWEST_ROWS or any(one.min() == one.max() for one in outcomes):
        return Calibration()
    return Calibration.fit(fit(earlier)(later), outcomes[1])
