"""What each customer will pay in the next 90 days."""

from typing import cast

from patron.estimators.learner import Learner
from patron.predict.baselines import Mean, Zero
from patron.predict.value.boosted_value import Boosted, BoostedBlend
from patron.predict.value.btyd_learners import ParetoSpend, RecentBlend
from patron.predict.value.scaled_to_total import ScaledToTotal
from patron.predict.value.stacked import Stacked
from patron.predict.value.two_stage import TwoStage, ZeroInflatedLogNormal
from patron.predict.value.value_baselines import LastNinetyDays, ShrunkenLastNinetyDays

LEARNERS: tuple[Learner, ...] = (
    LastNinetyDays(),
    ShrunkenLastNinetyDays(),
    *(cast("Learner", ScaledToTotal(one)) for one in (RecentBlend(), Boosted(), Stacked())),
)
CANDIDATES: tuple[Learner, ...] = (
    *LEARNERS,
    *(Zero(), Mean(), ParetoSpend(), BoostedBlend(), TwoStage(), ZeroInflatedLogNormal()),
)
"""Every learner of value, for benchmarks: a run compares only those that earned their place."""
