"""Probabilities that mean what they say: Platt's two numbers, learned from rows the model was not fitted to."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy

from patron.schema.numbers import Numbers

MAX_LOG_ODDS = 30.0
STEEPEST = 2.0


@dataclass(frozen=True)
class Calibration:
    """Log-odds become `slope * log-odds + shift`; (1, 0) changes nothing."""

    slope: float = 1.0
    shift: float = 0.0

    def probability(self, log_odds: Numbers, offset: Numbers | float = 0.0) -> Numbers:
        """Probability, 0 to 1; an offset is added as it is."""
        z = self.slope * log_odds + self.shift + offset
        return scipy.special.expit(np.clip(z, -MAX_LOG_ODDS, MAX_LOG_ODDS))

    @classmethod
    def fit(
        cls, log_odds: Numbers, label: Numbers, weights: Numbers | None = None, *, offset: Numbers | float = 0.0
    ) -> Self:
        """Least log loss, with the slope kept within 0 and 2: calibration never reverses a ranking.

        `weights` count rows as more or fewer than one; what matters is their proportion. `offset` is added to the
        log-odds of each row and is not stretched.
        """
        happened = label.sum()
        # Platt's targets: not quite 0 and 1, so that a small sample does not ask for infinite log-odds.
        target = np.where(label > 0, (happened + 1) / (happened + 2), 1 / (len(label) - happened + 2))

        def mean_loss(numbers: Numbers) -> tuple[float, Numbers]:
            z = numbers[0] * log_odds + numbers[1] + offset
            wrong = scipy.special.expit(z) - target
            loss = np.logaddexp(0, z) - target * z
            slopes = (np.average(wrong * log_odds, weights=weights), np.average(wrong, weights=weights))
            return float(np.average(loss, weights=weights)), np.array(slopes)

        bounds = [(0.0, STEEPEST), (-MAX_LOG_ODDS, MAX_LOG_ODDS)]
        fit = scipy.optimize.minimize(mean_loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds)
        return cls(float(fit.x[0]), float(fit.x[1]))

    @classmethod
    def of_same_mean(cls, slope: float, log_odds: Numbers) -> Self:
        """Stretch log-odds by a positive slope, and shift them so that their mean probability stays as it is."""

        def mean_difference(shift: float) -> float:
            return float(np.mean(cls(slope, shift).probability(log_odds) - cls().probability(log_odds)))

        low, high = ((1 - slope) * bound for bound in (log_odds.min(), log_odds.max()))
        return cls(slope, float(scipy.optimize.brentq(mean_difference, min(low, high) - 1, max(low, high) + 1)))
