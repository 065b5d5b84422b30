"""How wide a forecast of an amount is: what happened to customers with a forecast of this size in the backtest."""

from dataclasses import dataclass

import numpy as np

from patron.schema.metrics import decile_of
from patron.schema.numbers import Numbers

LEVEL = 0.8
FEWEST_ROWS = 200


@dataclass(frozen=True)
class Outcomes:
    """Quantiles of actual / forecast in each decile of the forecast; an empty one knows nothing."""

    edges: tuple[float, ...] = ()
    """Forecasts at which the next decile begins."""
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @classmethod
    def of(cls, actual: Numbers, forecast: Numbers) -> "Outcomes":
        """Learn the middle 80 % of outcomes from evaluated forecasts; nothing with fewer than 200."""
        if len(actual) < FEWEST_ROWS:
            return cls()
        decile = decile_of(forecast)
        ratio = actual / np.maximum(forecast, 1.0)
        groups = [ratio[decile == one] for one in range(1, decile.max() + 1)]
        edges = [float(forecast[decile == one].min()) for one in range(2, decile.max() + 1)]
        low, high = (
            tuple(float(np.quantile(group, q)) for group in groups) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
        )
        return cls(tuple(edges), low, high)

    def interval(self, forecast: Numbers) -> tuple[Numbers, Numbers] | None:
        """Ends of the 80 % interval of what will happen, widened to hold the forecast itself; None when unknown.

        Where nine of ten customers buy nothing the middle 80 % of outcomes is 0 to 0 and the mean lies outside.
        """
        if not self.low:
            return None
        group = np.searchsorted(np.asarray(self.edges), forecast, side="right")
        size = np.maximum(forecast, 1.0)
        low, high = np.asarray(self.low)[group] * size, np.asarray(self.high)[group] * size
        return np.minimum(np.maximum(low, 0.0), forecast), np.maximum(high, forecast)
