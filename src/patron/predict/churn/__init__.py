"""Whether a customer who ordered in the last 180 days stays away for the next 90."""

from patron.predict.baselines import Mean, RecencyOnly
from patron.predict.classifiers import BoostedChance, Logistic
from patron.predict.labels import Question
from patron.schema import metrics
from patron.schema.questions import HORIZON_DAYS

LEARNERS = (Mean(), RecencyOnly(), Logistic(), BoostedChance())

QUESTION = Question(
    name="churn",
    meaning="no order in the next 90 days, of customers with one in the last 180",
    unit="probability",
    horizon_days=HORIZON_DAYS["churn"],
    label="cast(1 - max(case when l.customer_id is not null and not l.is_refund then 1 else 0 end) as double)",
    population="days_since_last_order < 180",
    # Decisions multiply the probability with money, so it must be right and not only well ordered: log loss is proper
    # and, unlike Brier's score, does not forgive a rare outcome that was called impossible. AUC is printed beside it.
    primary_metric=metrics.LOG_LOSS,
    metrics=(metrics.AUC, metrics.BRIER, metrics.CALIBRATION_ERROR, metrics.BIAS_SHARE),
    learners=LEARNERS,
    is_probability=True,
)
