"""A difference of two means with its interval and its test."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from patron.estimators.bootstrap import LEVEL
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers


@dataclass(frozen=True)
class WelchTest:
    """An estimate with a variance that adds up from parts with degrees of freedom each."""

    effect: float
    standard_error: float
    freedom: float
    """Degrees of freedom by Welch and Satterthwaite."""

    @classmethod
    def of(cls, effect: float, variances: Any, counts: Any) -> "WelchTest":
        """`variances` are those of each part's mean, `counts` its rows. Raises NotEnoughData."""
        parts: Numbers = np.asarray(variances, dtype=np.float64)
        total = float(parts.sum())
        if total <= 0.0:
            if effect != 0.0:
                what = f"the outcome does not vary within the arms, which differ by {effect:g}"
                raise NotEnoughData(what, where="outcome", todo="Wait for rows with other outcomes.")
            return cls(0.0, 0.0, np.inf)
        freedom = total**2 / float((parts**2 / (np.asarray(counts, dtype=np.float64) - 1)).sum())
        return cls(effect, float(np.sqrt(total)), freedom)

    def ends(self, level: float = LEVEL) -> tuple[float, float]:
        """Both ends of the interval that holds the effect with this probability."""
        reach = float(scipy.stats.t.ppf((1 + level) / 2, self.freedom)) * self.standard_error
        return self.effect - reach, self.effect + reach

    @property
    def p_value(self) -> float:
        """Two-sided; 1 where nothing varies."""
        if self.standard_error == 0.0:
            return 1.0
        return float(2 * scipy.stats.t.sf(abs(self.effect) / self.standard_error, self.freedom))
