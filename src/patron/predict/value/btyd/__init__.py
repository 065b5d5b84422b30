"""Buy till you die: models of how often customers order and what an order brings, as a library."""

from pathlib import Path

from patron.predict.learner import read_json
from patron.predict.value.btyd.betageo import (
    BetaGeo,
    FittedBetaGeo,
    ModifiedBetaGeo,
    RegularBetaGeo,
    RegularModifiedBetaGeo,
)
from patron.predict.value.btyd.betageobetabinom import BetaGeoBetaBinom, FittedBetaGeoBetaBinom
from patron.predict.value.btyd.calendar import Calendar, with_calendar
from patron.predict.value.btyd.correlated import CorrelatedParetoNBD, FittedCorrelatedParetoNBD
from patron.predict.value.btyd.covariates import FittedParetoNBDCovariates, ParetoNBDCovariates
from patron.predict.value.btyd.gammagamma import FittedGammaGamma, GammaGamma
from patron.predict.value.btyd.lifetime import discounted_purchases, horizon_of, lifetime_value, spend_interval
from patron.predict.value.btyd.model import CountLearner, CountModel
from patron.predict.value.btyd.nbd import NBD, FittedNBD
from patron.predict.value.btyd.paretonbd import FittedParetoNBD, ParetoNBD
from patron.predict.value.btyd.posterior import Posterior, Span, posterior
from patron.predict.value.btyd.seasons import FittedSeasonalParetoNBD, SeasonalParetoNBD
from patron.predict.value.btyd.summary import deduplicated, rfm

FITTED = {
    one.kind: one
    for one in (
        FittedNBD,
        FittedParetoNBD,
        FittedParetoNBDCovariates,
        FittedSeasonalParetoNBD,
        FittedCorrelatedParetoNBD,
        FittedBetaGeo,
        FittedBetaGeoBetaBinom,
        FittedGammaGamma,
    )
}

__all__ = [
    "NBD",
    "BetaGeo",
    "BetaGeoBetaBinom",
    "Calendar",
    "CorrelatedParetoNBD",
    "CountLearner",
    "CountModel",
    "GammaGamma",
    "ModifiedBetaGeo",
    "ParetoNBD",
    "ParetoNBDCovariates",
    "Posterior",
    "RegularBetaGeo",
    "RegularModifiedBetaGeo",
    "SeasonalParetoNBD",
    "Span",
    "deduplicated",
    "discounted_purchases",
    "horizon_of",
    "lifetime_value",
    "load_model",
    "posterior",
    "rfm",
    "spend_interval",
    "with_calendar",
]


def load_model(path: Path) -> CountModel | FittedGammaGamma:
    """Read a model that `save` wrote, of whatever kind. Raises ValueError when it is none."""
    saved = read_json(path)
    if not isinstance(saved, dict) or saved.get("kind") not in FITTED:
        raise ValueError(f"{path}: this is no saved model of value")
    return FITTED[saved["kind"]].restored(saved)
