"""How many customers an experiment needs, how long it takes, and what it could detect: before it starts."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from patron.experiments.arm_moments import Moments
from patron.experiments.experiment_table import read_covariates, read_numbers, read_table
from patron.schema.errors import BadExperiment, NotEnoughData

POWER, ALPHA = 0.8, 0.05
LARGE = 100_000
"""Customers an arm from which Student's t is the normal, but for a constant number of customers."""


def sample_size(effect: float, sd: float, power: float = POWER, alpha: float = ALPHA, *, saving: float = 0.0) -> int:
    """Customers an arm that a two-sided t-test of two equal arms needs to detect an effect with this power.

    `effect` and `sd` are in the outcome's unit; `saving` is the share of the variance that CUPED will remove
    (`cuped_saving`). Raises BadExperiment.
    """
    if not (math.isfinite(effect) and effect != 0):
        raise BadExperiment(
            f"{effect} cannot be detected", where="effect", todo="Give the smallest effect that counts."
        )
    size = abs(effect) / _spread(sd, power, alpha, saving)
    quantile = float(scipy.stats.norm.isf(alpha / 2))
    normal = 2 * ((quantile + float(scipy.stats.norm.ppf(power))) / size) ** 2
    if normal > LARGE:
        return math.ceil(normal + quantile**2 / 4)  # why: Guenther's (1981) correction of the normal for Student's t
    if _power(2.0, size, alpha) >= power:
        return 2
    bracket = (2.0, 2 * normal + 100)
    return math.ceil(scipy.optimize.root_scalar(lambda rows: _power(rows, size, alpha) - power, bracket=bracket).root)


def detectable_effect(
    customers: float, sd: float, power: float = POWER, alpha: float = ALPHA, *, saving: float = 0.0
) -> float:
    """Smallest effect, in the outcome's unit, that this many customers an arm detect. Raises BadExperiment."""
    spread = _spread(sd, power, alpha, saving)
    if not customers >= 2:
        raise NotEnoughData(f"{customers} customers an arm; 2 are needed", where="customers")
    if customers > LARGE:
        quantile = float(scipy.stats.norm.isf(alpha / 2))
        return spread * (quantile + float(scipy.stats.norm.ppf(power))) * math.sqrt(2 / (customers - quantile**2 / 4))
    upper = 1.0
    while _power(customers, upper, alpha) < power:
        upper *= 2
    root = scipy.optimize.root_scalar(
        lambda size: _power(customers, size, alpha) - power, bracket=(0.0, upper), xtol=1e-14
    )
    return spread * float(root.root)


def duration(  # noqa: PLR0913 - what a plan consists of
    effect: float,
    sd: float,
    power: float = POWER,
    alpha: float = ALPHA,
    *,
    customers_per_day: float,
    arms: int = 2,
    saving: float = 0.0,
) -> int:
    """Days until equal arms have their customers, if as many new ones come every day. Raises BadExperiment."""
    if not (math.isfinite(customers_per_day) and customers_per_day > 0):
        raise BadExperiment(f"{customers_per_day} is not above 0", where="customers_per_day")
    if arms < 2:
        raise BadExperiment(f"{arms} arms; a control and another one are needed", where="arms")
    return math.ceil(arms * sample_size(effect, sd, power, alpha, saving=saving) / customers_per_day)


def cuped_saving(history: Any, *, outcome: str, covariate: str | Sequence[str]) -> float:
    """Share of an outcome's variance that CUPED with these covariates will remove, 0 to 1, from an earlier period.

    `history` has a row per customer: the outcome of a period that is over, as long as the experiment will be, and the
    covariates from before it. It is the adjusted R-squared of the regression. Raises BadExperiment, NotEnoughData.
    """
    rows = read_table(history)
    columns = (read_numbers(rows, outcome), *read_covariates(rows, covariate))
    freedom = rows.num_rows - len(columns)
    if freedom < 1:
        raise NotEnoughData(f"{rows.num_rows} customers for {len(columns) - 1} covariates", where="history")
    covariance = Moments.of(np.zeros(rows.num_rows, dtype=np.int64), 1, columns).covariance[0]
    if covariance[0, 0] == 0:
        raise BadExperiment("it never changes", where=outcome, todo="Choose another outcome.")
    scale = np.sqrt(np.diagonal(covariance))
    correlation = covariance / np.outer(scale, scale)
    explained = float(correlation[0, 1:] @ np.linalg.lstsq(correlation[1:, 1:], correlation[1:, 0])[0])
    return max(0.0, 1 - (1 - explained) * (rows.num_rows - 1) / freedom)


def _spread(sd: float, power: float, alpha: float, saving: float) -> float:
    """Standard deviation that is left after CUPED. Raises BadExperiment."""
    for name, share in (("power", power), ("alpha", alpha)):
        if not 0 < share < 1:
            raise BadExperiment(f"{share} is not between 0 and 1", where=name)
    if power <= alpha:
        raise BadExperiment(f"{power} is not above alpha, {alpha}", where="power")
    if not 0 <= saving < 1:
        raise BadExperiment(f"{saving} is not 0 or more and below 1", where="saving")
    if not (math.isfinite(sd) and sd > 0):
        raise BadExperiment(f"{sd} is not above 0", where="sd", todo="Take the outcome's from an earlier period.")
    return sd * math.sqrt(1 - saving)


def _power(customers: float, size: float, alpha: float) -> float:
    """Chance that a two-sided t-test of two arms detects an effect of `size` standard deviations."""
    freedom = 2 * customers - 2
    quantile, shift = float(scipy.stats.t.isf(alpha / 2, freedom)), size * math.sqrt(customers / 2)
    # why: by symmetry the lower tail is that of the opposite shift, and SciPy's own is NaN where it is next to 0
    return float(scipy.stats.nct.sf(quantile, freedom, shift) + scipy.stats.nct.sf(quantile, freedom, -shift))
