"""Which forecasts of earlier runs were wrong by more than noise, a stated size, and the shop's usual error.

Customers share shocks: a mild winter makes a forecast wrong for all of them at once, and an interval over customers
knows nothing of it. So the ratio of actual to forecast is compared with those of earlier forecasts, too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from scipy.special import ndtri

from patron.measure.feature_changes import FALSE_ALARM_SHARE
from patron.schema.numbers import Numbers

MIN_RATIO = 1.25
"""Actual over forecast, or the other way round, from which an error is worth an alarm; of a probability also of its
opposite: 30 % who stay instead of 20 % is an error of 1.5."""
RATIO_IN_FIRST_YEAR, DAYS_OF_SEASONS = 1.5, 300
"""The same while earlier forecasts cover fewer days than this: the shop's seasons are not known yet."""
USUAL_SHARE, USUAL_ERROR_FACTOR = 0.8, 2.0
"""Up to twice the 80th percentile of earlier errors, as logarithms, is usual."""
MIN_SHIFT = 0.03
"""Least difference of probabilities that is worth an alarm."""
DAYS_BETWEEN_CHECKS = 30
"""Earlier forecasts are this far apart: those of two nights are one and the same."""


@dataclass(frozen=True)
class ForecastCheck:
    """Mean forecast of an earlier run and mean actual, of all customers."""

    scored_at: datetime
    forecast_mean: float
    actual_mean: float


@dataclass(frozen=True)
class CalibrationError:
    """A forecast that was wrong by more than it usually is."""

    forecast_mean: float
    actual_mean: float
    ratio: float
    """Actual over forecast, or forecast over actual: at least 1."""
    allowed_ratio: float


def earlier_checks(checks: Iterable[ForecastCheck], newest: datetime, horizon_days: int) -> list[ForecastCheck]:
    """Checks of forecasts whose horizon was over when the newest was made, DAYS_BETWEEN_CHECKS apart."""
    last = newest - timedelta(days=horizon_days)
    apart: list[ForecastCheck] = []
    for check in sorted(checks, key=lambda check: check.scored_at, reverse=True):
        if check.scored_at <= last:
            apart.append(check)
            last = check.scored_at - timedelta(days=DAYS_BETWEEN_CHECKS)
    return apart


def calibration_error(
    forecast: Numbers, actual: Numbers, earlier: Sequence[ForecastCheck], *, is_probability: bool, tests: int
) -> CalibrationError | None:
    """The error of all customers together where it is beyond noise, size and usual error; else None.

    `tests` is the number of questions that are looked at together.
    """
    if len(forecast) < 2:
        return None
    difference = actual - forecast
    error = float(difference.std(ddof=1)) / np.sqrt(len(difference))
    is_noise = abs(difference.mean()) <= -ndtri(FALSE_ALARM_SHARE / 2 / max(tests, 1)) * error
    is_slight = is_probability and abs(difference.mean()) < MIN_SHIFT
    expected, came = float(forecast.mean()), float(actual.mean())
    ratio = error_ratio(expected, came, is_probability=is_probability)
    allowed = allowed_ratio(earlier, is_probability=is_probability)
    if is_noise or is_slight or ratio <= allowed:
        return None
    return CalibrationError(expected, came, ratio, allowed)


def allowed_ratio(earlier: Sequence[ForecastCheck], *, is_probability: bool) -> float:
    """The ratio of actual and forecast that is usual in this shop, or small; `earlier` has the newest first."""
    if not earlier:
        return RATIO_IN_FIRST_YEAR
    ratios = [error_ratio(one.forecast_mean, one.actual_mean, is_probability=is_probability) for one in earlier]
    usual = float(np.exp(USUAL_ERROR_FACTOR * np.quantile(np.log(ratios), USUAL_SHARE)))
    has_seasons = earlier[0].scored_at - earlier[-1].scored_at >= timedelta(days=DAYS_OF_SEASONS)
    return max(MIN_RATIO if has_seasons else RATIO_IN_FIRST_YEAR, usual)


def error_ratio(forecast: float, actual: float, *, is_probability: bool) -> float:
    """The larger of forecast and actual over the smaller; of a probability of it or its opposite, at least 1."""
    ratio = _ratio(forecast, actual)
    return max(ratio, _ratio(1 - forecast, 1 - actual)) if is_probability else ratio


def _ratio(one: float, other: float) -> float:
    """The larger over the smaller; 1 where both are 0 and for amounts below 0, which have none."""
    low, high = sorted((one, other))
    return high / max(low, 1e-3 * high) if high > 0 else 1.0
