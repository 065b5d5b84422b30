"""What each customer will pay in the next 90 days: the probability of an order times the spend of those who order."""

from typing import cast

from patron.estimators.learner import Learner
from patron.predict.baselines import Mean, Zero
from patron.predict.value.boosted_value import Boosted
from patron.predict.value.btyd_learners import ParetoSpend
from patron.predict.value.probability_times_spend import SPEND_MODELS, ProbabilityTimesSpend
from patron.predict.value.value_baselines import LastNinetyDays, ShrunkenLastNinetyDays

LEARNERS: tuple[Learner, ...] = (
    LastNinetyDays(),
    ShrunkenLastNinetyDays(),
    *(cast("Learner", ProbabilityTimesSpend(one)) for one in SPEND_MODELS),
)
CANDIDATES: tuple[Learner, ...] = (*LEARNERS, Zero(), Mean(), ParetoSpend(), Boosted())
"""Every learner of value, for benchmarks: the last ones forecast value at once, without a probability of an order."""
