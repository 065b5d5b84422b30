"""Customer lifetime value as a library: RFM summaries, buy-till-you-die models, spend, posteriors, hybrid, diagnostics.

It needs numpy, scipy, numba and pyarrow; the hybrid needs LightGBM too, which is imported at its first fit. It knows no
workspace: orders come in as anything that speaks Arrow, and results are frozen.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from patron.clv import diagnostics
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
from patron.clv.fit_summary import FitSummary
from patron.clv.foreign_signatures import refuse_name
from patron.clv.frames import with_answers
from patron.clv.gamma_gamma import FittedGammaGamma, GammaGamma, Independence
from patron.clv.hybrid import FittedHybrid, Hybrid
from patron.clv.lifetime_value import discounted_purchases, horizon_of, lifetime_value, spend_interval
from patron.clv.maximum_likelihood import Estimates
from patron.clv.nbd import NBD, FittedNBD
from patron.clv.pareto_nbd import FittedParetoNBD, ParetoNBD
from patron.clv.pareto_nbd_covariates import FittedParetoNBDCovariates, ParetoNBDCovariates
from patron.clv.posterior import Posterior, Span, posterior
from patron.clv.rfm_summary import deduplicated, rfm
from patron.clv.time_varying import FittedSeasonalParetoNBD, SeasonalParetoNBD
from patron.estimators.boosted_trees import FittedTrees, Trees
from patron.schema.json_files import read_json

FITTED_BY_KIND = {
    model.kind: model
    for model in (
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
    "Estimates",
    "FitSummary",
    "FittedBetaGeo",
    "FittedBetaGeoBetaBinom",
    "FittedCorrelatedParetoNBD",
    "FittedGammaGamma",
    "FittedHybrid",
    "FittedNBD",
    "FittedParetoNBD",
    "FittedParetoNBDCovariates",
    "FittedSeasonalParetoNBD",
    "FittedTrees",
    "GammaGamma",
    "Hybrid",
    "Independence",
    "ModifiedBetaGeo",
    "ParetoNBD",
    "ParetoNBDCovariates",
    "Posterior",
    "RegularBetaGeo",
    "RegularModifiedBetaGeo",
    "SeasonalParetoNBD",
    "Span",
    "Trees",
    "deduplicated",
    "diagnostics",
    "discounted_purchases",
    "horizon_of",
    "lifetime_value",
    "load_model",
    "posterior",
    "rfm",
    "spend_interval",
    "with_answers",
    "with_calendar",
]


def load_model(path: Path | str) -> CountModel | FittedGammaGamma:
    """Read a model that `save` wrote, of any kind. Raises ValueError for other files."""
    saved = read_json(Path(path))
    if not isinstance(saved, dict) or saved.get("kind") not in FITTED_BY_KIND:
        raise ValueError(f"{path}: this is not a saved model of customer value")
    return FITTED_BY_KIND[saved["kind"]].from_dict(saved)


if not TYPE_CHECKING:  # why: a checker would take every misspelt name for one that is there

    def __getattr__(name: str) -> NoReturn:
        """Name the right class or function where another library's was asked for."""
        refuse_name(name)
