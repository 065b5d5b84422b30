"""Gamma-Gamma: what an order brings."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import approx_fprime

from patron.clv import GammaGamma, load_model
from patron.clv.distinct_histories import DistinctValues
from patron.clv.gamma_gamma import FittedGammaGamma, _Likelihood
from patron.clv.maximum_likelihood import Estimates
from patron.schema.errors import NotEnoughData

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
