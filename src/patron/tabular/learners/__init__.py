"""The learners that are compared, the simplest first."""

from collections.abc import Mapping

from patron.tabular.learners.baselines import BestColumn, Majority
from patron.tabular.learners.boosting import LightGBM
from patron.tabular.learners.classifier import Classifier
from patron.tabular.learners.logistic import Logistic
from patron.tabular.learners.nearest import Nearest
from patron.tabular.learners.trees import DecisionTree, ExtraTrees, RandomForest

BASELINES = (Majority, BestColumn)
LEARNERS: Mapping[str, type[Classifier]] = {
    learner.name: learner for learner in (Logistic, DecisionTree, Nearest, ExtraTrees, RandomForest, LightGBM)
}
"""By name."""
AVERAGED = (Logistic.name, LightGBM.name, ExtraTrees.name, RandomForest.name)
"""Learners whose log-odds are averaged, where at least two of them are compared."""

__all__ = [
    "AVERAGED",
    "BASELINES",
    "LEARNERS",
    "BestColumn",
    "Classifier",
    "DecisionTree",
    "ExtraTrees",
    "LightGBM",
    "Logistic",
    "Majority",
    "Nearest",
    "RandomForest",
]
