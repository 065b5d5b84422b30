"""Which offer changes whom: effects of offers customer by customer, judged before they are used.

It needs no workspace: any table that speaks Arrow comes in, frozen results go out.
"""

from patron.uplift.base_learners import LightGBM
from patron.uplift.effect_ranking import auuc, qini, uplift_at
from patron.uplift.fitted_uplift import FittedUplift
from patron.uplift.learner import Learner
from patron.uplift.learners import DRLearner, RLearner, SLearner, TLearner, XLearner
from patron.uplift.linear_model import Linear

LEARNERS: tuple[type[Learner], ...] = (SLearner, TLearner, XLearner, RLearner, DRLearner)
DEFAULT: Learner = DRLearner()
"""Chosen on halves of Hillstrom's training rows: benchmarks/uplift/hillstrom.py."""

__all__ = [
    "DEFAULT",
    "LEARNERS",
    "DRLearner",
    "FittedUplift",
    "Learner",
    "LightGBM",
    "Linear",
    "RLearner",
    "SLearner",
    "TLearner",
    "XLearner",
    "auuc",
    "qini",
    "uplift_at",
]
