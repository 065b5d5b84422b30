"""Whether a customer orders in the next 30 days."""

from patron.predict.baselines import Mean, RecencyOnly
from patron.predict.classifiers import BoostedChance, Logistic
from patron.predict.labels import Question
from patron.schema import metrics
from patron.schema.questions import HORIZON_DAYS

LEARNERS = (Mean(), RecencyOnly(), Logistic(), BoostedChance())

QUESTION = Question(
    name="purchase",
    meaning="an order in the next 30 days",
    unit="probability",
    horizon_days=HORIZON_DAYS["purchase"],
    label="cast(max(case when l.customer_id is not null and not l.is_refund then 1 else 0 end) as double)",
    population="true",
    primary_metric=metrics.LOG_LOSS,
    metrics=(metrics.AUC, metrics.BRIER, metrics.CALIBRATION_ERROR, metrics.BIAS_SHARE),
    learners=LEARNERS,
    is_probability=True,
)
