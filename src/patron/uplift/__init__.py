"""Which offer changes whom: effects of offers customer by customer, judged before they are used.

It needs no workspace: any table that speaks Arrow comes in, frozen results go out.
"""

from patron.uplift.average_effects import AverageEffect, AverageEffects, average_effects
from patron.uplift.base_learners import LightGBM
from patron.uplift.cost_curve import CostCurve, CurveTest, cost_curve
from patron.uplift.effect_calibration import CalibrationRow, EffectCalibration, calibration
from patron.uplift.effect_learner import EffectLearner
from patron.uplift.effect_ranking import auuc, qini, uplift_at
from patron.uplift.fitted_uplift import FittedUplift
from patron.uplift.leaf_effects import Segment
from patron.uplift.learners import DRLearner, RLearner, SLearner, TLearner, XLearner
from patron.uplift.linear_model import Linear
from patron.uplift.policy_choice import Policy, choose_policy
from patron.uplift.policy_value import PolicyValue, policy_value
from patron.uplift.response_classes import FittedResponseClasses, ResponseClasses, ResponseHistory
from patron.uplift.uplift_tree import UpliftTree

LEARNERS: tuple[type[EffectLearner], ...] = (SLearner, TLearner, XLearner, RLearner, DRLearner, UpliftTree)
DEFAULT: EffectLearner = DRLearner()
"""Chosen on halves of Hillstrom's training rows: benchmarks/uplift/hillstrom.py."""

__all__ = [
    "DEFAULT",
    "LEARNERS",
    "AverageEffect",
    "AverageEffects",
    "CalibrationRow",
    "CostCurve",
    "CurveTest",
    "DRLearner",
    "EffectCalibration",
    "EffectLearner",
    "FittedResponseClasses",
    "FittedUplift",
    "LightGBM",
    "Linear",
    "Policy",
    "PolicyValue",
    "RLearner",
    "ResponseClasses",
    "ResponseHistory",
    "SLearner",
    "Segment",
    "TLearner",
    "UpliftTree",
    "XLearner",
    "auuc",
    "average_effects",
    "calibration",
    "choose_policy",
    "cost_curve",
    "policy_value",
    "qini",
    "uplift_at",
]
