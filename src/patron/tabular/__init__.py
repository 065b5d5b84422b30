"""Model selection on anybody's table: learners compared on an honest cut, audited, and one of them preferred.

It needs scikit-learn and Optuna: `pip install 'patron[tabular]'`. It knows no workspace: any table that speaks Arrow
comes in.
"""

from patron.schema.errors import MissingExtra

try:
    import sklearn as _sklearn  # noqa: F401 - said here once, in words, where it is missing
except ModuleNotFoundError as error:
    what = f"comparing models needs {error.name}"
    raise MissingExtra(what, where="patron.tabular", todo="Install it: pip install 'patron[tabular]'") from error

from patron.estimators.calibration import Calibration
from patron.estimators.learner import Learner, Predictor
from patron.tabular.compare_learners import compare
from patron.tabular.comparison import Comparison
from patron.tabular.embeddings import Embeddings, fit_embeddings
from patron.tabular.evaluation import ScoreRow
from patron.tabular.few_labels import CurveRow, LearningCurve, learning_curve
from patron.tabular.learners import (
    LEARNERS,
    Classifier,
    DecisionTree,
    ExtraTrees,
    LightGBM,
    Logistic,
    Nearest,
    RandomForest,
)

__all__ = [
    "LEARNERS",
    "Calibration",
    "Classifier",
    "Comparison",
    "CurveRow",
    "DecisionTree",
    "Embeddings",
    "ExtraTrees",
    "Learner",
    "LearningCurve",
    "LightGBM",
    "Logistic",
    "Nearest",
    "Predictor",
    "RandomForest",
    "ScoreRow",
    "compare",
    "fit_embeddings",
    "learning_curve",
]
