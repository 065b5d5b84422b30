"""Whether a customer orders in the next 30 days."""

from patron.base import stats
from patron.base.horizons import HORIZON_DAYS
from patron.predict.chances import BoostedChance, Logistic
from patron.predict.question import Question
from patron.predict.rules import Mean, RecencyOnly

LEARNERS = (Mean(), RecencyOnly(), Logistic(), BoostedChance())

QUESTION = Question(
    name="purchase",
    meaning="an order in the next 30 days",
    unit="probability",
    horizon_days=HORIZON_DAYS["purchase"],
    label="cast(max(case when l.customer_id is not null and not l.is_refund then 1 else 0 end) as double)",
    population="true",
    headline=stats.LOG_LOSS,
    metrics=(stats.AUC, stats.BRIER, stats.CALIBRATION_ERROR, stats.BIAS_SHARE),
    learners=LEARNERS,
    is_probability=True,
)
