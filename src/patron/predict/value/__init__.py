"""What each customer will pay in the next 90 days."""

from patron.predict.baselines import Mean, Zero
from patron.predict.value.boosted_value import Boosted, BoostedBlend
from patron.predict.value.btyd_learners import BetaGeoSpend, RecentBlend
from patron.predict.value.stacked import Stacked
from patron.predict.value.two_stage import TwoStage, ZeroInflatedLogNormal
from patron.predict.value.value_baselines import LastNinetyDays, ShrunkenLastNinetyDays

LEARNERS = (LastNinetyDays(), ShrunkenLastNinetyDays(), RecentBlend(), Boosted(), Stacked())
CANDIDATES = (*LEARNERS, Zero(), Mean(), BetaGeoSpend(), BoostedBlend(), TwoStage(), ZeroInflatedLogNormal())
"""Every learner of value, for benchmarks: a run compares only those that earned their place."""
