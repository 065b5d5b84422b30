"""How long customers stay: discrete-time hazards, survival of who is active today, and warnings before they leave."""

from patron.tabular.hazards.early_warning import EarlyWarning, WarningScore, early_warning
from patron.tabular.hazards.evaluation import HazardEvaluation, HazardScore, evaluate_hazards
from patron.tabular.hazards.fit_hazards import fit_hazards, fit_person_periods
from patron.tabular.hazards.fitted_hazards import Contributions, FittedHazards
from patron.tabular.hazards.hazard_logistic import HazardLogistic
from patron.tabular.hazards.hazard_model import HazardSummary
from patron.tabular.hazards.hazard_trees import HazardTrees
from patron.tabular.hazards.life_table import LifeTable

__all__ = [
    "Contributions",
    "EarlyWarning",
    "FittedHazards",
    "HazardEvaluation",
    "HazardLogistic",
    "HazardScore",
    "HazardSummary",
    "HazardTrees",
    "LifeTable",
    "WarningScore",
    "early_warning",
    "evaluate_hazards",
    "fit_hazards",
    "fit_person_periods",
]
