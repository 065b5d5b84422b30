"""Orders to come as money: discounted, over a horizon or for ever."""

import math
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import gammaln, hyperu

from patron.clv import (
    Calendar,
    discounted_purchases,
    horizon_of,
    lifetime_value,
    rfm,
    spend_interval,
    with_calendar,
)
from patron.clv.beta_geo import FittedBetaGeo
from patron.clv.beta_geo_beta_binom import FittedBetaGeoBetaBinom
from patron.clv.distinct_histories import Histories
from patron.clv.gamma_gamma import FittedGammaGamma
from patron.clv.maximum_likelihood import Estimates
from patron.clv.pareto_nbd import FittedParetoNBD, likelihoods
from patron.clv.pareto_nbd_covariates import FittedParetoNBDCovariates
from patron.clv.rfm_summary import UNIT
from patron.clv.time_varying import FittedSeasonalParetoNBD

PARETO = FittedParetoNBD(Estimates({"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7}, unit="W"))
BETAGEO = FittedBetaGeo(Estimates({"r": 0.24, "alpha": 4.4, "a": 0.8, "b": 2.4}, unit="W"))
SPEND = FittedGammaGamma(Estimates({"p": 6.0, "q": 3.7, "v": 15.0}), 33.0)
SUMMARY = pa.table(
    {
        "frequency": [0.0, 1.0, 7.0, 26.0],
        "recency": [0.0, 10.0, 33.0, 38.0],
        "T": [38.0, 38.0, 38.9, 38.9],
        "monetary_value": [0.0, 20.0, 35.0, 50.0],
    }
).replace_schema_metadata({UNIT: b"W"})


def test_endless_discounted_orders_are_those_of_the_closed_form():
    """DERT of the Pareto/NBD with the confluent hypergeometric function (Fader, Hardie and Lee 2005, eq. 2)."""
    r, alpha, s, beta = PARETO.params.values()
    rows = Histories.of(SUMMARY)
    x, T, rate = rows.frequency, rows.T, math.log(1.15) * 7 / 365.25
    same = np.ones(len(x))
    likelihood = likelihoods(r, s, alpha * same, beta * same, (x, rows.recency, T))[0] + gammaln(r + x) - gammaln(r)
    expected = np.exp(
        r * np.log(alpha)
        + s * np.log(beta)
        + (s - 1) * np.log(rate)
        + gammaln(r + x + 1)
        - gammaln(r)
        - (r + x + 1) * np.log(alpha + T)
        - likelihood
    ) * hyperu(s, s, rate * (beta + T))
    found = discounted_purchases(PARETO, SUMMARY, annual_rate=0.15)
    assert found == pytest.approx(rows.per_customer(expected), rel=1e-6)


@pytest.mark.parametrize("fitted", [PARETO, BETAGEO])
def test_discounting_lowers_value_less_the_nearer_the_end(fitted):
    plain = fitted.expected_purchases(SUMMARY, 52.0)
    assert discounted_purchases(fitted, SUMMARY, annual_rate=0.0, horizon=52.0) == pytest.approx(plain)
    discounted = discounted_purchases(fitted, SUMMARY, annual_rate=0.15, horizon=52.0)
    assert (discounted < plain).all()
    assert (discounted > plain / 1.15).all()
    longer = discounted_purchases(fitted, SUMMARY, annual_rate=0.15, horizon=520.0)
    assert (longer > discounted).all()
    assert (discounted_purchases(fitted, SUMMARY, annual_rate=0.15) >= longer).all()


def test_models_with_covariates_a_calendar_or_periods_are_discounted_too():
    calendar = Calendar.of(
        pa.table(
            {
                "from": [date(2024, 1, 1), date(2024, 3, 1)],
                "until": [date(2024, 2, 29), date(2024, 12, 31)],
                "season": [0.0, 1.0],
            }
        )
    )
    orders = pa.table(
        {"customer_id": ["a", "a", "b"], "ordered_at": [date(2024, 1, 2), date(2024, 1, 20), date(2024, 1, 5)]}
    )
    summary = with_calendar(rfm(orders, until="2024-02-29", value=None), orders, calendar, value=None)
    params = {"r": 0.5, "alpha": 5.0, "s": 0.5, "beta": 9.0}
    seasonal = FittedSeasonalParetoNBD(
        Estimates({**params, "transaction_season": 1.0}, unit="W"), calendar=calendar, calendar_transaction=("season",)
    )
    plain = seasonal.expected_purchases(summary, 26.0)
    assert discounted_purchases(seasonal, summary, annual_rate=0.0, horizon=26.0) == pytest.approx(plain)
    assert (discounted_purchases(seasonal, summary, annual_rate=0.2, horizon=26.0) < plain).all()
    static = FittedParetoNBDCovariates(Estimates({**params, "transaction_z": 0.4}, unit="W"), transaction=("z",))
    histories = SUMMARY.append_column("z", pa.array([0.0, 1.0, -1.0, 2.0])).replace_schema_metadata({UNIT: b"W"})
    discounted = discounted_purchases(static, histories, annual_rate=0.0, horizon=26.0)
    assert discounted == pytest.approx(static.expected_purchases(histories, 26.0))
    periods = FittedBetaGeoBetaBinom(Estimates({"alpha": 1.2, "beta": 0.75, "gamma": 0.65, "delta": 2.8}, unit="Y"))
    years = pa.table({"frequency": [1.0, 3.0], "recency": [2.0, 5.0], "T": [6.0, 6.0]})
    each = [periods.expected_purchases(years, float(n)) for n in range(4)]
    expected = sum((each[n] - each[n - 1]) / 1.1**n for n in (1, 2, 3))
    assert discounted_purchases(periods, years, annual_rate=0.1, horizon=3.0) == pytest.approx(expected)
    with pytest.raises(ValueError, match="needs a horizon"):
        discounted_purchases(periods, years, annual_rate=0.1)


def test_an_interval_of_spend_follows_covariates_and_needs_all_likely_counts():
    spend = FittedGammaGamma(Estimates({"p": 6.0, "q": 3.7, "v": 15.0, "member": 1.0}), 33.0, covariates=("member",))
    new = pa.table({"frequency": [0.0, 0.0], "monetary_value": [0.0, 0.0], "member": [0.0, 1.0]})
    counts = np.array([[0.05, 0.65, 0.3, 0.0]] * 2)
    span = spend_interval(counts, spend, new)
    for of in (span.mean, span.low, span.high):
        assert of[1] / of[0] == pytest.approx(np.e)
    with pytest.raises(ValueError, match="2 orders or more are likely"):
        spend_interval(counts[:, :3] / 0.9999, spend, new)


def test_where_everybody_pays_the_same_the_interval_holds_it():
    spend = FittedGammaGamma(Estimates({"p": 1e6, "q": 3.0, "v": 0.002}), 1000.0)
    span = spend_interval(np.array([[0.05, 0.95, 0.0]]), spend, pa.table({"frequency": [0.0], "monetary_value": [0.0]}))
    assert 0 < span.low[0] < span.mean[0] < span.high[0]


def test_a_summary_in_another_unit_than_the_fit_is_refused():
    daily = SUMMARY.replace_schema_metadata({UNIT: b"D"})
    with pytest.raises(ValueError, match="the summary is in D and the model was fitted in W"):
        PARETO.expected_purchases(daily, 90.0)


def test_value_is_orders_times_spend_times_margin():
    whole = lifetime_value(BETAGEO, SPEND, SUMMARY, horizon=39.0)
    assert whole == pytest.approx(BETAGEO.expected_purchases(SUMMARY, 39.0) * SPEND.expected_spend(SUMMARY))
    assert lifetime_value(BETAGEO, SPEND, SUMMARY, horizon=39.0, margin=0.3) == pytest.approx(0.3 * whole)
    assert (lifetime_value(BETAGEO, SPEND, SUMMARY, horizon=None, annual_rate=0.1) > whole).all()


def test_a_horizon_may_be_in_any_unit():
    assert horizon_of(14, "D", summary=SUMMARY) == pytest.approx(2.0)
    assert horizon_of(12, "M", summary=SUMMARY) == horizon_of(1, "Y", summary=SUMMARY) == pytest.approx(365.25 / 7)


def test_impossible_values_are_refused():
    without = SUMMARY.replace_schema_metadata(None)
    with pytest.raises(ValueError, match="make it with rfm"):
        discounted_purchases(FittedBetaGeo(Estimates(BETAGEO.params)), without, annual_rate=0.1)
    with pytest.raises(ValueError, match="above 0 without a horizon"):
        discounted_purchases(BETAGEO, SUMMARY, annual_rate=0.0)
    with pytest.raises(ValueError, match=r"margin 1\.2"):
        lifetime_value(BETAGEO, SPEND, SUMMARY, horizon=9.0, margin=1.2)
    with pytest.raises(ValueError, match="units are D, W, M and Y"):
        horizon_of(3, "fortnight", summary=SUMMARY)


def test_spend_lies_in_its_interval_as_often_as_it_says():
    """Of customers simulated with orders and spend: 80 % within four standard errors of so many above it."""
    rng = np.random.default_rng(7)
    frequency, rate = rng.integers(1, 8, 1500).astype(float), rng.gamma(2.0, 1.0, 1500)
    nu = rng.gamma(3.7, 1 / 15.0, 1500)
    mean = rng.gamma(6.0 * frequency) / nu / frequency
    came = rng.poisson(rate)
    spent = np.where(came > 0, rng.gamma(6.0 * np.maximum(came, 1)) / nu, 0.0)
    orders = np.arange(21)
    counts = np.exp(orders * np.log(rate[:, None]) - rate[:, None] - gammaln(orders + 1.0))
    counts[:, -1] += 1 - counts.sum(axis=1)
    summary = pa.table({"frequency": frequency, "monetary_value": mean})
    for level in (0.5, 0.8):
        span = spend_interval(counts, SPEND, summary, level=level)
        above = ((spent > span.high) & (counts[:, 0] < (1 + level) / 2)).mean()
        assert abs(above - (1 - level) / 2) < 4 * np.sqrt(0.1 / 1500)
        assert (span.low <= span.high).all()
        assert np.isfinite(span.high).all()
