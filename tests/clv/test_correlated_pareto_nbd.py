"""Pareto/NBD with correlated rates: the joint density, recovery, forecasts."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import gamma

from patron.clv import CorrelatedParetoNBD, ParetoNBD, load_model
from patron.clv.correlated_pareto_nbd import FittedCorrelatedParetoNBD, strength
from patron.clv.distinct_histories import Histories
from patron.clv.maximum_likelihood import Estimates
from patron.clv.pareto_nbd import FittedParetoNBD

LETTERS = {"r": 0.7, "alpha": 6.0, "s": 0.7, "beta": 9.0}
TRUTHS = {size: FittedCorrelatedParetoNBD(Estimates({**LETTERS, "dependence": size})) for size in (0.9, -0.9)}
signs = pytest.mark.parametrize("size", TRUTHS)


def drawn(size, count=4000, horizon=0.0, seed=5):
    rng = np.random.default_rng(seed)
    return TRUTHS[size].simulate(np.round(rng.uniform(20, 60, count), 1), rng, horizon=horizon)


@signs
def test_parameters_come_back_within_three_standard_errors(size):
    fitted = CorrelatedParetoNBD().fit(drawn(size, 12_000))
    for name, value in TRUTHS[size].params.items():
        assert abs(fitted.params[name] - value) < 3 * fitted.standard_errors[name], name
    assert fitted.correlation == pytest.approx(TRUTHS[size].correlation, abs=0.08)


@signs
def test_rates_are_as_correlated_as_the_model_says(size):
    truth = TRUTHS[size]
    rate, leaving = truth._rates(200_000, np.random.default_rng(1))
    assert np.corrcoef(rate, leaving)[0, 1] == pytest.approx(truth.correlation, abs=0.01)
    assert rate.mean() == pytest.approx(0.7 / 6, rel=0.02)
    assert leaving.mean() == pytest.approx(0.7 / 9, rel=0.02)


def test_the_density_reaches_as_far_as_it_can():
    for r, s in ((0.2, 0.9), (2.0, 0.5), (3.0, 4.0)):
        a, b = 3**-r, 3**-s
        for dependence in (40.0, -40.0):
            k, _ = strength(r, s, dependence)
            least = min(1 + k / (a * b) * (u - a) * (v - b) for u in (0, 1) for v in (0, 1))
            assert 0.019 < least < 0.11


@signs
@pytest.mark.parametrize("law", [(0.7, 6.0, 0.7, 9.0), (0.3, 4.0, 1.6, 20.0), (1.9, 4.0, 0.4, 20.0)])
def test_the_gradient_is_that_of_the_likelihood(size, law):
    objective = CorrelatedParetoNBD().objective(Histories.of(drawn(size, 300)))
    at = np.array([*np.log(law), size])
    assert objective(at)[1] == pytest.approx(approx_fprime(at, lambda one: objective(one)[0], 1e-6), abs=2e-5)


def test_without_dependence_it_is_pareto_nbd():
    rows, logs = Histories.of(drawn(0.9, 500)), np.log([0.6, 5.0, 0.8, 11.0])
    plain, slopes = ParetoNBD().objective(rows)(logs)
    value, more = CorrelatedParetoNBD().objective(rows)(np.array([*logs, 0.0]))
    assert value == pytest.approx(plain, abs=1e-12)
    assert more[:4] == pytest.approx(slopes, abs=1e-9)


@signs
def test_the_likelihood_is_the_integral_over_both_rates(size):
    r, alpha, s, beta = 1.7, 6.0, 1.4, 9.0
    k, _ = strength(r, s, size)
    a, b = 3**-r, 3**-s
    histories = [(0.0, 0.0, 30.0), (2.0, 12.0, 25.0)]
    nodes, weights = np.polynomial.legendre.leggauss(120)
    logs, found = -7 + 8 * nodes, 0.0
    rate, mu = np.exp(logs)[:, None], np.exp(logs)[None, :]
    apart = gamma.pdf(rate, r, scale=1 / alpha) * gamma.pdf(mu, s, scale=1 / beta) * rate * mu
    density = apart * (1 + k / (a * b) * (np.exp(-2 * alpha * rate) - a) * (np.exp(-2 * beta * mu) - b))
    assert (density >= 0).all()
    for x, tx, T in histories:
        both = rate + mu
        term = rate**x * (mu * np.exp(-both * tx) + rate * np.exp(-both * T)) / both
        found += np.log(64 * weights @ (term * density) @ weights)
    columns = dict(zip(("frequency", "recency", "T"), map(np.array, zip(*histories, strict=True)), strict=True))
    value, _ = CorrelatedParetoNBD().objective(Histories.of(pa.table(columns)))(
        np.array([*np.log([r, alpha, s, beta]), size])
    )
    assert 2 * value == pytest.approx(found, abs=1e-6)


@signs
def test_forecasts_come_true(size):
    truth, summary = TRUTHS[size], drawn(size, 20_000, horizon=30.0)
    came = summary["frequency_holdout"].to_numpy()
    expected = truth.expected_purchases(summary, 30.0)
    for part in (came >= 0, summary["frequency"].to_numpy() > 3):
        off = (came - expected)[part]
        assert abs(off.mean()) < 4 * off.std() / np.sqrt(part.sum())
    chances = truth.purchase_count_distribution(summary, 30.0, most=4)
    counted = np.bincount(np.minimum(came, 4).astype(int), minlength=5)
    assert (np.abs(counted - chances.sum(axis=0)) < 4 * np.sqrt((chances * (1 - chances)).sum(axis=0))).all()
    new = truth.simulate(np.full(20_000, 30.0), np.random.default_rng(8))["frequency"].to_numpy()
    assert abs(truth.expected_purchases_new(30.0) - new.mean()) < 4 * new.std() / np.sqrt(len(new))


@signs
def test_answers_agree_and_are_saved(size, tmp_path):
    summary = drawn(size, 500)
    fitted = CorrelatedParetoNBD().fit(summary)
    chances = fitted.purchase_count_distribution(summary, 30.0, most=400)
    assert chances.sum(axis=1) == pytest.approx(np.ones(500), abs=1e-12)
    assert 1 - chances[:, 0] == pytest.approx(fitted.probability_of_purchase(summary, 30.0), abs=1e-9)
    assert chances @ np.arange(401) == pytest.approx(fitted.expected_purchases(summary, 30.0), rel=1e-6)
    fitted.save(tmp_path / "model.json")
    loaded = load_model(tmp_path / "model.json")
    assert (loaded.expected_purchases(summary, 30.0) == fitted.expected_purchases(summary, 30.0)).all()


HARD = {
    "frequency": [221.0, 254, 161, 204, 800, 400, 0, 1, 5000, 0, 1],
    "recency": [103.43, 97.14, 94.71, 98.57, 500, 1, 0, 0, 900, 0, 0.0],
    "T": [103.57, 97.29, 98.00, 99.43, 501, 700, 50, 0, 1000, 0, 2000.0],
}


@pytest.mark.parametrize("rates", [(0.5143, 2.8845), (5.0, 3000.0), (1e-3, 1e-3), (900.0, 1e6)])
@pytest.mark.parametrize("leaving", [(0.2856, 14.1087), (20.0, 0.001), (1.0, 2.0), (4e-5, 2800.0)])
@pytest.mark.parametrize("dependence", [-20.0, 0.4, 20.0])
def test_hard_histories_stay_finite(rates, leaving, dependence):
    params = dict(zip(LETTERS, (*rates, *leaving), strict=True))
    fitted, summary = FittedCorrelatedParetoNBD(Estimates({**params, "dependence": dependence})), pa.table(HARD)
    for chance in (fitted.probability_alive(summary), fitted.probability_of_purchase(summary, 90.0)):
        assert ((chance >= 0) & (chance <= 1)).all()
    expected = fitted.expected_purchases(summary, 90.0)
    assert np.isfinite(expected).all()
    assert (expected >= 0).all()
    assert fitted.purchase_count_distribution(summary, 90.0, most=5).sum(axis=1) == pytest.approx(np.ones(11), abs=1e-9)
    value, slopes = CorrelatedParetoNBD().objective(Histories.of(summary))(
        np.array([*np.log([*rates, *leaving]), dependence])
    )
    assert np.isfinite(value)
    assert np.isfinite(slopes).all()


def test_frequent_buyers_who_leave_soon_are_modelled_apart():
    """With rates that go together, a quiet customer of many orders is likelier to have left than independence says."""
    often = pa.table({"frequency": [8.0], "recency": [20.0], "T": [30.0]})
    plain = FittedParetoNBD(Estimates(LETTERS)).probability_alive(often)[0]
    assert TRUTHS[0.9].probability_alive(often)[0] < plain < TRUTHS[-0.9].probability_alive(often)[0]
