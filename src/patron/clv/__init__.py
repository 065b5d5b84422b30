"""Buy till you die: models of how often customers order and what an order brings, as a library."""

from pathlib import Path

from patron.clv.beta_geo import (
    BetaGeo,
    FittedBetaGeo,
    ModifiedBetaGeo,
    RegularBetaGeo,
    RegularModifiedBetaGeo,
)
from patron.clv.beta_geo_beta_binom import BetaGeoBetaBinom, FittedBetaGeoBetaBinom
from patron.clv.correlated_pareto_nbd import CorrelatedParetoNBD, FittedCorrelatedParetoNBD
from patron.clv.count_model import CountLearner, CountModel
from patron.clv.covariate_calendar import Calendar, with_calendar
from patron.clv.gamma_gamma import FittedGammaGamma, GammaGamma
from patron.clv.hybrid import FittedHybrid, Hybrid
from patron.clv.lifetime_value import discounted_purchases, horizon_of, lifetime_value, spend_interval
from patron.clv.nbd import NBD, FittedNBD
from patron.clv.pareto_nbd import FittedParetoNBD, ParetoNBD
from patron.clv.pareto_nbd_covariates import FittedParetoNBDCovariates, ParetoNBDCovariates
from patron.clv.posterior import Posterior, Span, posterior
from patron.clv.rfm_summary import deduplicated, rfm
from patron.clv.time_varying import FittedSeasonalParetoNBD, SeasonalParetoNBD
from patron.schema.json_files import read_json

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
    "FittedBetaGeo",
    "FittedBetaGeoBetaBinom",
    "FittedCorrelatedParetoNBD",
    "FittedGammaGamma",
    "FittedHybrid",
    "FittedNBD",
    "FittedParetoNBD",
    "FittedParetoNBDCovariates",
    "FittedSeasonalParetoNBD",
    "NBD",
    "BetaGeo",
    "BetaGeoBetaBinom",
    "Calendar",
    "CorrelatedParetoNBD",
    "CountLearner",
    "CountModel",
    "GammaGamma",
    "Hybrid",
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
