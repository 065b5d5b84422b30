import os
from pathlib import Path

import duckdb
import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import hyp2f1

from patron.base.errors import NotEnoughData
from patron.predict.value import betageo, gammagamma
from patron.predict.value.betageo import BetaGeo, beta_quadrature, fit_beta_geo
from patron.predict.value.gammagamma import GammaGamma, fit_gamma_gamma

CDNOW = BetaGeo(r=0.2426, alpha=4.4136, a=0.7929, b=2.4259)
HISTORY = """
with days as (
    select customer_id, cast(date as date) as day, sum(value) as paid from read_parquet('{file}')
    where date < timestamp '1997-10-01' group by all
), firsts as (select *, min(day) over (partition by customer_id) as first_day from days)
select cast(count(*) - 1 as double) as x, (max(day) - first_day) / 7.0 as tx,
    (date '1997-09-30' - first_day) / 7.0 as T, coalesce(avg(paid) filter (where day > first_day), 0) as mean
from firsts group by customer_id, first_day order by customer_id
"""


def simulated(count, *, drop_out=True, seed=3):
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.5, 1 / 6.0, count)
    chance = rng.beta(0.8, 2.5, count) if drop_out else np.zeros(count)
    T = rng.uniform(20, 40, count)
    x, tx = np.zeros(count), np.zeros(count)
    for at in range(count):
        time = rng.exponential(1 / rate[at])
        while time < T[at]:
            x[at], tx[at] = x[at] + 1, time
            if rng.random() < chance[at]:
                break
            time += rng.exponential(1 / rate[at])
    return x, tx, T


def test_parameters_come_back_from_simulated_customers():
    fitted = fit_beta_geo(*simulated(8000))
    assert abs(np.log(fitted.r / 0.5)) < 0.15
    assert abs(np.log(fitted.alpha / 6.0)) < 0.2
    assert abs(fitted.a / (fitted.a + fitted.b) - 0.8 / 3.3) < 0.05
    assert not fitted.is_collapsed


def test_without_drop_out_the_collapse_to_nbd_is_seen():
    fitted = fit_beta_geo(*simulated(3000, drop_out=False))
    assert fitted.is_collapsed
    assert np.isfinite([fitted.r, fitted.alpha, fitted.a, fitted.b]).all()


def test_the_unit_of_time_changes_nothing_but_alpha():
    x, tx, T = simulated(1000)
    weeks, days = fit_beta_geo(x, tx, T), fit_beta_geo(x, tx * 7, T * 7)
    assert days.alpha == pytest.approx(weeks.alpha * 7, rel=1e-3)
    assert days.r == pytest.approx(weeks.r, rel=1e-3)
    assert weeks.expected_orders(x, tx, T, horizon=10.0) == pytest.approx(
        days.expected_orders(x, tx * 7, T * 7, horizon=70.0), rel=1e-3
    )


@pytest.mark.parametrize("module", [betageo, gammagamma])
def test_gradients_are_those_of_the_likelihood(module):
    x, tx, T = simulated(300)
    share = np.full(len(x), 1 / len(x))
    if module is betageo:
        arguments, at = (x, tx, T, share), np.log([0.4, 5.0, 0.7, 2.0])
    else:
        arguments, at = (x + 1, np.linspace(0.2, 3.0, len(x))), np.log([3.0, 2.5, 1.2])
    value = module._negative_mean
    numeric = approx_fprime(at, lambda logs: value(logs, *arguments)[0], 1e-7)
    assert value(at, *arguments)[1] == pytest.approx(numeric, abs=1e-5)


def test_expected_orders_are_those_of_the_hypergeometric_form():
    x = np.array([0.0, 1.0, 2.0, 7.0, 26.0])
    tx, T, t = np.array([0.0, 10.0, 30.4, 33.0, 38.0]), np.full(5, 38.9), 39.0
    r, alpha, a, b = CDNOW.r, CDNOW.alpha, CDNOW.a, CDNOW.b
    shrink = ((alpha + T) / (alpha + T + t)) ** (r + x)
    series = hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + T + t))
    alive = 1 + (x > 0) * a / (b + np.maximum(x, 1) - 1) * ((alpha + T) / (alpha + tx)) ** (r + x)
    expected = (a + b + x - 1) / (a - 1) * (1 - shrink * series) / alive
    assert CDNOW.expected_orders(x, tx, T, horizon=t) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "model",
    [
        BetaGeo(0.5143, 2.8845, 0.2856, 14.1087),
        BetaGeo(0.5, 3.0, 0.3, 2000.0),
        BetaGeo(5.0, 3000.0, 20.0, 0.001),
        BetaGeo(0.3, 4.0, 0.3, 0.4),
        BetaGeo(0.3, 4.0, 1.0, 2.0),
        BetaGeo(0.7, 60.0, 4e-5, 2800.0),
    ],
)
def test_hard_rows_stay_finite(model):
    x = np.array([221.0, 254, 161, 204, 800, 400, 0, 1, 5000])
    tx = np.array([103.43, 97.14, 94.71, 98.57, 500, 1, 0, 0, 900])
    T = np.array([103.57, 97.29, 98.00, 99.43, 501, 700, 50, 0, 1000])
    alive = model.probability_alive(x, tx, T)
    orders = model.expected_orders(x, tx, T, horizon=90.0)
    chance = model.probability_of_order(x, tx, T, horizon=90.0)
    assert ((alive >= 0) & (alive <= 1)).all()
    assert ((chance >= 0) & (chance <= 1)).all()
    assert np.isfinite(orders).all()
    assert (orders >= 0).all()


@pytest.mark.parametrize(("a", "b"), [(0.8, 2.4), (1e-5, 3000.0), (0.3, 0.4), (1.0, 1.0), (20.0, 800.0)])
def test_quadrature_gives_the_moments_of_the_beta_distribution(a, b):
    nodes, weights = beta_quadrature(a, b)
    assert weights @ nodes == pytest.approx(a / (a + b), rel=1e-6)
    assert weights @ nodes**2 == pytest.approx(a * (a + 1) / (a + b) / (a + b + 1), rel=1e-6)


def test_an_infinite_mean_spend_is_flagged_and_never_negative():
    model = GammaGamma(p=2.0, q=0.8, v=10.0, observed_mean=50.0)
    assert model.has_infinite_mean
    assert list(model.expected_spend(np.array([0.0, 1.0, 9.0]), np.array([0.0, 20.0, 3.0]))) == [50.0, 20.0, 3.0]


def test_expected_spend_lies_between_ones_own_mean_and_everybodys():
    rng = np.random.default_rng(2)
    nu = rng.gamma(3.7, 1 / 15.0, 5000)
    count = rng.integers(1, 6, 5000).astype(float)
    mean = rng.gamma(6.0 * count, 1 / nu) / count
    model = fit_gamma_gamma(count, mean)
    assert abs(np.log(model.population_mean / (6 * 15 / 2.7))) < 0.05
    spend = model.expected_spend(count, mean)
    assert ((spend - mean) * (spend - model.population_mean) <= 1e-9).all()


def test_too_few_customers_are_refused():
    with pytest.raises(NotEnoughData, match="customers with an order"):
        fit_beta_geo(np.ones(3), np.ones(3), np.full(3, 2.0))
    with pytest.raises(NotEnoughData, match="with a spend"):
        fit_gamma_gamma(np.ones(3), np.ones(3))


@pytest.mark.parametrize(
    ("name", "beta_geo", "gamma_gamma"),
    [
        (
            "cdnow_sample",
            (0.2426, 4.4136, 0.7929, 2.4259, -9582.429),
            (6.2496, 3.7442, 15.4435, -4055.918),
        ),
        (
            "cdnow_master",
            (0.2516, 4.7889, 0.7234, 2.1611, -95368.444),
            (6.2754, 3.6245, 14.9837, -40763.476),
        ),
    ],
)
def test_published_fits_are_reproduced(name, beta_geo, gamma_gamma):
    folder = os.environ.get("PATRON_TEST_DATA")
    if not folder:
        pytest.skip("PATRON_TEST_DATA names no folder with the CDNOW files")
    data = duckdb.sql(HISTORY.format(file=Path(folder) / f"{name}.parquet")).fetchnumpy()
    x, tx, T, mean = (np.asarray(data[key], dtype=float) for key in ("x", "tx", "T", "mean"))
    orders, spend = fit_beta_geo(x, tx, T), fit_gamma_gamma(x, mean)
    assert (orders.r, orders.alpha, orders.a, orders.b) == pytest.approx(beta_geo[:4], abs=1e-4)
    assert orders.log_likelihood == pytest.approx(beta_geo[4], abs=1e-3)
    assert (spend.p, spend.q, spend.v) == pytest.approx(gamma_gamma[:3], abs=1e-4)
    assert spend.log_likelihood == pytest.approx(gamma_gamma[3], abs=1e-3)
