"""Pareto/NBD with covariates where histories, laws and effects are extreme, or the data hardly show an effect."""

import numpy as np
import pyarrow as pa
import pytest

from patron.clv import Calendar, ParetoNBDCovariates, SeasonalParetoNBD
from patron.clv.covariate_calendar import FIRST
from patron.clv.distinct_histories import Histories
from patron.clv.maximum_likelihood import Estimates
from patron.clv.pareto_nbd_covariates import FittedParetoNBDCovariates
from patron.clv.time_varying import FittedSeasonalParetoNBD

HARD = {
    "frequency": [221.0, 254, 161, 204, 800, 400, 0, 1, 5000, 0, 1],
    "recency": [103.43, 97.14, 94.71, 98.57, 500, 1, 0, 0, 900, 0, 0.0],
    "T": [103.57, 97.29, 98.00, 99.43, 501, 700, 50, 0, 1000, 0, 2000.0],
}
RATE_LAWS = [(0.5143, 2.8845), (5.0, 3000.0), (1e-3, 1e-3), (900.0, 1e6)]
LEAVING_LAWS = [(0.2856, 14.1087), (0.3, 2000.0), (20.0, 0.001), (1.0, 2.0), (4e-5, 2800.0)]
WEEKS = np.datetime64("2022-01-03") + 7 * np.arange(2200)
SEASON = (np.arange(2200) % 52 >= 44).astype(float)
CENTURY = Calendar.of(pa.table({"from": WEEKS, "until": WEEKS + 6, "season": SEASON}))


@pytest.mark.parametrize("rates", RATE_LAWS)
@pytest.mark.parametrize("leaving", LEAVING_LAWS)
@pytest.mark.parametrize("effect", [-40.0, 0.7, 40.0])
def test_hard_histories_stay_finite(rates, leaving, effect):
    params = dict(zip(("r", "alpha", "s", "beta"), (*rates, *leaving), strict=True))
    effects = {"transaction_member": effect, "transaction_season": effect, "dropout_season": -effect / 2}
    static = FittedParetoNBDCovariates(Estimates({**params, **effects}), ("member",))
    seasonal = FittedSeasonalParetoNBD(
        Estimates({**params, **effects}, unit="W"), ("member",), (), CENTURY, ("season",), ("season",)
    )
    first = CENTURY.bounds[0] + 7 * (2005 - np.array(HARD["T"]))
    summary = pa.table({**HARD, "member": [0.0, 1] * 5 + [1], FIRST: first})
    for fitted in (static, seasonal):
        for chance in (fitted.probability_alive(summary), fitted.probability_of_purchase(summary, 90.0)):
            assert ((chance >= 0) & (chance <= 1)).all()
        expected = fitted.expected_purchases(summary, 90.0)
        assert np.isfinite(expected).all()
        assert (expected >= 0).all()
        chances = fitted.purchase_count_distribution(summary, 90.0, most=5)
        assert (chances >= 0).all()
        assert chances.sum(axis=1) == pytest.approx(np.ones(len(expected)), abs=1e-9)
    objective = SeasonalParetoNBD(CENTURY, ("season",), ("season",)).objective(
        Histories.of(summary.append_column("season_at_orders", pa.array(np.full(11, 3.0))), FIRST, "season_at_orders")
    )
    value, slopes = objective(np.array([*np.log(list(params.values())), effect, -effect / 2]))
    assert np.isfinite(value)
    assert np.isfinite(slopes).all()


SHAPES = {
    "nobody came back": {"frequency": 0.0, "recency": 0.0},
    "all came back once at the end": {"frequency": 1.0, "recency": 20.0},
    "thousands of orders": {"frequency": 3000.0, "recency": 19.0},
    "only members came back": {"frequency": "member", "recency": "member"},
}


@pytest.mark.parametrize("case", ["static", "seasonal"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_data_is_fitted_and_answered(case, shape):
    """Where nobody orders in a season, or without being a member, an effect has no end: it stops, finite."""
    member = np.arange(60.0) % 2
    columns = {name: member if value == "member" else np.full(60, value) for name, value in SHAPES[shape].items()}
    T = np.linspace(20, 60, 60)
    first = CENTURY.bounds[0] + 7 * (70 - T)
    covariates = {"member": member, FIRST: first, "season_at_orders": np.zeros(60)}
    summary = pa.table({**columns, "T": T, **covariates}).replace_schema_metadata({"patron.unit": "W"})
    learner = ParetoNBDCovariates(("member",), ("member",))
    if case == "seasonal":
        learner = SeasonalParetoNBD(CENTURY, ("season", "member"))
    fitted = learner.fit(summary)
    assert np.isfinite(list(fitted.params.values())).all()
    assert np.isfinite(fitted.log_likelihood)
    for answer in (fitted.expected_purchases(summary, 13.0), fitted.probability_alive(summary)):
        assert np.isfinite(answer).all()
        assert (answer >= 0).all()
