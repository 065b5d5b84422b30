"""How wide a forecast of an amount is: what happened to customers with a forecast of this size in the backtest."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from patron.schema.models.metrics import decile_of
from patron.schema.numbers import Numbers

LEVEL = 0.8
ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
FEWEST_ROWS = 200
LEVELS = scipy.special.ndtri(np.array([0.1, 0.3, 0.5, 0.7, 0.9]))
"""Five equally likely levels of the whole shop, in standard deviations."""


@dataclass(frozen=True)
class IntervalEnds:
    """Ends of the 80 % interval as multiples of the forecast, by its size; none where too little is known."""

    edges: tuple[float, ...] = ()
    """Forecasts at which the next group begins."""
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def interval(self, forecast: Numbers) -> tuple[Numbers, Numbers] | None:
        """Ends of the interval of what will happen, widened to hold the forecast itself; None when unknown.

        Where nine of ten customers buy nothing the middle 80 % of outcomes is 0 to 0 and the mean lies outside.
        """
        if not self.low:
            return None
        group = np.searchsorted(np.asarray(self.edges), forecast, side="right")
        size = np.maximum(forecast, 1.0)
        low, high = (np.asarray(ends)[group] * size for ends in (self.low, self.high))
        return np.minimum(np.maximum(low, 0.0), forecast), np.maximum(high, forecast)


@dataclass(frozen=True)
class Outcomes:
    """Actual / forecast of past customers in each decile of the forecast, in order of size; none knows nothing."""

    edges: tuple[float, ...] = ()
    """Forecasts at which the next decile begins."""
    ratios: tuple[Numbers, ...] = ()

    @classmethod
    def of(cls, actual: Numbers, forecast: Numbers, spread: float = 0.0) -> "Outcomes":
        """Learn from evaluated forecasts; nothing from fewer than 200.

        `spread` is the standard deviation of the logarithm of what the whole shop may be off by besides.
        """
        if len(actual) < FEWEST_ROWS:
            return cls()
        decile = decile_of(forecast)
        ratio = actual / np.maximum(forecast, 1.0)
        off = np.exp(spread * LEVELS) if spread else np.ones(1)
        groups = [np.sort(np.outer(ratio[decile == one], off).ravel()) for one in range(1, decile.max() + 1)]
        edges = [float(forecast[decile == one].min()) for one in range(2, decile.max() + 1)]
        return cls(tuple(edges), tuple(groups))

    def interval_ends(self) -> IntervalEnds:
        """The middle 80 % of what happened in each decile."""
        low, high = (tuple(float(np.quantile(one, end)) for one in self.ratios) for end in ENDS)
        return IntervalEnds(self.edges, low, high)

    def interval(self, forecast: Numbers) -> tuple[Numbers, Numbers] | None:
        """Ends of the 80 % interval of what will happen; None when unknown."""
        return self.interval_ends().interval(forecast)

    def holds(self, actual: Numbers, forecast: Numbers, rng: np.random.Generator) -> npt.NDArray[np.bool_] | None:
        """Whether each actual is in the middle 80 % by the randomised probability transform; None when unknown.

        Most customers buy nothing, and an interval that begins with nothing holds all of them. The transform counts
        each of them in part, so that an honest interval holds four in five (Czado, Gneiting & Held 2009).
        """
        if not self.ratios:
            return None
        group, ratio = self._group(forecast), actual / np.maximum(forecast, 1.0)
        below, upto = np.empty(len(ratio)), np.empty(len(ratio))
        for number, known in enumerate(self.ratios):
            here = group == number
            below[here] = np.searchsorted(known, ratio[here], side="left") / len(known)
            upto[here] = np.searchsorted(known, ratio[here], side="right") / len(known)
        transform = below + rng.random(len(ratio)) * (upto - below)
        return (transform > ENDS[0]) & (transform < ENDS[1])

    def _group(self, forecast: Numbers) -> npt.NDArray[np.intp]:
        return np.searchsorted(np.asarray(self.edges), forecast, side="right")
