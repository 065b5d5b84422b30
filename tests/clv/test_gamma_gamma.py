"""Gamma-Gamma: what an order brings."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.optimize import approx_fprime

from patron.clv import BetaGeo, FittedBetaGeo, GammaGamma, load_model, rfm
from patron.clv.distinct_histories import DistinctValues
from patron.clv.gamma_gamma import FittedGammaGamma, _Likelihood
from patron.clv.maximum_likelihood import Estimates
from patron.schema.errors import NotEnoughData
from patron.schema.models import metrics

TRUTH = FittedGammaGamma(Estimates({"p": 6.0, "q": 3.7, "v": 15.0}), 33.0)


def drawn(count=6000, seed=2, effect=None):
    rng = np.random.default_rng(seed)
    orders = rng.integers(0, 7, count).astype(float)
    mean = TRUTH.simulate(orders, rng) * (1.0 if effect is None else np.exp(effect))
    return pa.table({"frequency": orders, "monetary_value": mean})


def test_parameters_come_back_within_three_standard_errors():
    fitted = GammaGamma().fit(drawn(20_000))
    for name, value in TRUTH.params.items():
        assert abs(fitted.params[name] - value) < 3 * fitted.standard_errors[name], name
    assert fitted.population_mean == pytest.approx(TRUTH.population_mean, rel=0.03)


def test_covariates_multiply_spend():
    rng = np.random.default_rng(4)
    member, visits = rng.integers(0, 2, 8000).astype(float), rng.normal(size=8000)
    summary = drawn(8000, effect=0.5 * member - 0.2 * visits)
    summary = summary.append_column("member", pa.array(member)).append_column("visits", pa.array(visits))
    fitted = GammaGamma(("member", "visits")).fit(summary)
    for name, value in (("member", 0.5), ("visits", -0.2)):
        assert abs(fitted.params[name] - value) < 3 * fitted.standard_errors[name]
    assert fitted.log_likelihood > GammaGamma().fit(summary).log_likelihood + 100
    new = pa.table({"frequency": [0.0, 0.0], "monetary_value": [0.0, 0.0], "member": [0.0, 1.0], "visits": [0.0, 0.0]})
    plain, as_member = fitted.expected_spend(new)
    assert as_member / plain == pytest.approx(np.exp(fitted.params["member"]))


def test_the_gradient_is_that_of_the_likelihood():
    x, rng = np.arange(1.0, 41.0) % 7 + 1, np.random.default_rng(0)
    share, design = np.full(40, 1 / 40), rng.normal(size=(40, 1))
    likelihood = _Likelihood(DistinctValues.of(x), x, np.linspace(0.2, 3.0, 40), share, design)
    at = np.array([*np.log([3.0, 2.5, 1.2]), 0.3])
    assert likelihood(at)[1] == pytest.approx(approx_fprime(at, lambda one: likelihood(one)[0], 1e-7), abs=1e-5)


def test_expected_spend_lies_between_ones_own_mean_and_everybodys():
    summary = drawn()
    model = GammaGamma().fit(summary)
    spend, mean = model.expected_spend(summary), summary["monetary_value"].to_numpy()
    bought = summary["frequency"].to_numpy() > 0
    assert ((spend - mean) * (spend - model.population_mean) <= 1e-9)[bought].all()
    assert spend[~bought] == pytest.approx(np.full((~bought).sum(), model.population_mean))


def test_an_infinite_mean_spend_is_flagged_and_never_negative():
    model = FittedGammaGamma(Estimates({"p": 2.0, "q": 0.8, "v": 10.0}), 50.0)
    assert model.has_infinite_mean
    summary = pa.table({"frequency": [0.0, 1.0, 9.0], "monetary_value": [0.0, 20.0, 3.0]})
    assert list(model.expected_spend(summary)) == [50.0, 20.0, 3.0]


def test_whether_spend_depends_on_frequency_is_reported():
    independent = GammaGamma().fit(drawn()).independence
    assert not independent.is_doubtful
    summary = drawn()
    more = summary["monetary_value"].to_numpy() * (1 + 0.5 * summary["frequency"].to_numpy())
    doubtful = GammaGamma().fit(summary.set_column(1, "monetary_value", pa.array(more))).independence
    assert doubtful.is_doubtful
    assert doubtful.spearman > 0.3
    assert doubtful.p_value < 1e-6


def shop(rng, customers=4_000):
    """Orders of simulated customers in a year, each with a usual spend of their own, and what they spent afterwards."""
    law = FittedBetaGeo(Estimates({"r": 0.3, "alpha": 5.0, "a": 0.8, "b": 2.4}))
    truth, usual = (
        FittedGammaGamma(Estimates({"p": 6.0, "q": 3.7, "v": 15.0}), 33.0),
        rng.gamma(3.7, 1 / 15.0, customers),
    )
    joined = rng.integers(0, 84, customers)
    who, week = [np.arange(customers)], [np.zeros(customers)]
    for some, at in law.draw_orders(np.full(customers, 78.0), rng):
        who, week = [*who, some], [*week, at]
    who, week = np.concatenate(who), np.concatenate(week)
    paid = rng.gamma(truth.params["p"], 1 / usual[who])
    day = np.datetime64("2022-01-01") + joined[who] + np.ceil(week * 7).astype(int)
    return pa.table({"customer_id": who, "ordered_at": day, "value": paid})


def gini_of_spend(summary, first_order):
    """Of BG/NBD times Gamma-Gamma in the holdout, with a weight a customer for resamples."""
    weeks = summary["duration_holdout"][0].as_py()
    forecast = BetaGeo().fit(summary).expected_purchases(summary, weeks)
    forecast *= GammaGamma(first_order=first_order).fit(summary).expected_spend(summary)
    spent = summary["frequency_holdout"].to_numpy() * summary["monetary_value_holdout"].to_numpy()
    return lambda weight=None: metrics.normalised_gini(spent, forecast, weight)


def test_the_documented_path_counts_the_first_order_and_ranks_better_by_more_than_noise():
    gains = []
    for seed in range(8):
        summary = rfm(shop(np.random.default_rng(seed)), until="2022-09-30", holdout_until="2023-06-30")
        gains.append(gini_of_spend(summary, first_order=True)() - gini_of_spend(summary, first_order=False)())
    assert np.mean(gains) > 3 * np.std(gains, ddof=1) / np.sqrt(len(gains))
    assert np.mean(gains) > 0.01


def test_on_cdnow_the_first_order_ranks_spend_better(real_data):
    """Paired intervals: .709 with the first order, .672 without."""
    orders = pq.read_table(real_data("cdnow_master.parquet"))
    summary = rfm(orders, until="1997-09-30", holdout_until="1998-06-30", time="date")
    with_first, without = (gini_of_spend(summary, first_order=one) for one in (True, False))
    assert with_first() == pytest.approx(0.709, abs=2e-3)
    assert without() == pytest.approx(0.672, abs=2e-3)
    weights = np.random.default_rng(1).poisson(1.0, (200, summary.num_rows)).astype(float)
    assert np.quantile(with_first(weights) - without(weights), 0.025) > 0.02


def test_a_fit_with_first_orders_asks_for_them_and_one_without_does_not():
    summary = rfm(shop(np.random.default_rng(1), 500), until="2022-09-30")
    plain = summary.select(["frequency", "monetary_value"])
    with_first, without = GammaGamma().fit(summary), GammaGamma().fit(plain)
    assert with_first.first_order
    assert not without.first_order
    assert without.params == GammaGamma(first_order=False).fit(summary).params
    with pytest.raises(ValueError, match="no column monetary_value_with_first"):
        with_first.expected_spend(plain)
    once = np.flatnonzero(summary["frequency"].to_numpy() == 0)
    assert np.ptp(with_first.expected_spend(summary)[once]) > 10
    assert np.ptp(without.expected_spend(summary)[once]) == 0


def test_a_saved_model_says_the_same(tmp_path):
    summary = drawn(500)
    fitted = GammaGamma().fit(summary)
    fitted.save(tmp_path / "spend.json")
    loaded = load_model(tmp_path / "spend.json")
    assert loaded == fitted
    assert (loaded.expected_spend(summary) == fitted.expected_spend(summary)).all()


def test_too_few_customers_are_refused():
    with pytest.raises(NotEnoughData, match="3 customers with a spend"):
        GammaGamma().fit(pa.table({"frequency": [1.0] * 3, "monetary_value": [1.0] * 3}))


@pytest.mark.parametrize("spend", [np.full(50, 7.0), np.full(50, 1e-6), np.geomspace(1e-3, 1e9, 50)])
def test_every_shape_of_spend_is_fitted(spend):
    summary = pa.table({"frequency": np.arange(50) % 4 + 1.0, "monetary_value": spend})
    fitted = GammaGamma().fit(summary)
    assert np.isfinite(list(fitted.params.values())).all()
    assert np.isfinite(fitted.expected_spend(summary)).all()
