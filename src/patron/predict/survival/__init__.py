"""How long customers stay: the churn forecast, carried on by hazards of the periods after it; and early warnings."""

from patron.predict.survival.early_warnings import build_early_warnings
from patron.predict.survival.survival_curves import build_survival_curves

__all__ = ["build_early_warnings", "build_survival_curves"]
