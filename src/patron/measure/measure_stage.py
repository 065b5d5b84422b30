"""The measure stage of a run; it looks at earlier runs only, and runs before predict and decide."""

from dataclasses import dataclass

from patron.measure.drift import measure_drift
from patron.measure.effects import measure_effects
from patron.measure.forecast_checks import check_forecasts
from patron.storage.shop import View


@dataclass(frozen=True)
class Summary:
    """How much was measured: rows of each table."""

    effect_count: int
    forecast_check_count: int
    drift_count: int


def run(view: View) -> Summary:
    """Write `effects`, `forecast_checks` and `drift`."""
    return Summary(measure_effects(view).num_rows, check_forecasts(view).num_rows, measure_drift(view).num_rows)
