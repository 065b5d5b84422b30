"""Probabilities further from even, by as much as past cutoffs agree on: a mean of several models' log-odds is timid.

Each model knows something that the others do not, so their mean moves too little from even (Satopää and others, 2014,
"Combining multiple probability predictions using a simple logit model"); and customers are away longer by now than any
whose outcome the models learned from. The level stays: it follows the season, which a young shop's past cutoffs do not
show.
"""

from dataclasses import replace

import pyarrow as pa
from scipy.special import logit

from patron.estimators.calibration import Calibration
from patron.estimators.learner import FORECAST, Fitted, newest
from patron.predict.averaged_probability import AveragedProbability, FittedAverage
from patron.predict.backtest import Backtest
from patron.schema.numbers import float_column

MIN_CUTOFFS = 2
"""Fewer past cutoffs do not show whether they agree."""


def calibration_slope(learner: str, result: Backtest) -> float:
    """By how much the log-odds of a mean should have been larger: the least of all past cutoffs, never below 1.

    Where cutoffs differ, the smallest slope is nearest to what comes: at the older cutoffs of a young shop models know
    little and are timid. 1 for other learners, which are calibrated where they are fitted.
    """
    past = [result.evaluations[origin, result.champion] for origin in result.origins]
    if {learner, result.champion} != {AveragedProbability.name} or len(past) < MIN_CUTOFFS:
        return 1.0
    return max(1.0, min(Calibration.fit(logit(one.forecast), one.actual).slope for one in past))


def recalibrate(fitted: Fitted, slope: float, known: pa.Table) -> Fitted:
    """Stretch a mean's log-odds, with as many expected of the newest cutoff's customers as before."""
    if not isinstance(fitted, FittedAverage) or slope == 1.0:
        return fitted
    log_odds = logit(float_column(fitted.predict(newest(known)), FORECAST))
    return replace(fitted, calibration=Calibration.of_same_mean(slope, log_odds))
