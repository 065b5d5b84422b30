"""How sure a fit is: intervals that cover as often as they say, in memory that does not grow with the draws."""

import numpy as np
import pyarrow as pa
import pytest

from patron.clv import (
    NBD,
    BetaGeo,
    ModifiedBetaGeo,
    ParetoNBD,
    ParetoNBDCovariates,
    RegularBetaGeo,
    deduplicated,
    posterior,
)
from patron.clv.beta_geo import FittedBetaGeo
from patron.clv.maximum_likelihood import Estimates
from patron.clv.nbd import FittedNBD
from patron.clv.pareto_nbd import FittedParetoNBD
from patron.schema.errors import NotEnoughData

TRUTH = {"r": 0.7, "alpha": 6.0, "a": 0.9, "b": 2.5}
CASES = {
    "NBD": (NBD(), FittedNBD(Estimates({"r": 0.7, "alpha": 6.0}))),
    "Pareto/NBD": (ParetoNBD(), FittedParetoNBD(Estimates({"r": 0.7, "alpha": 6.0, "s": 0.7, "beta": 9.0}))),
    "MBG/NBD": (ModifiedBetaGeo(), FittedBetaGeo(Estimates(TRUTH), first_too=True)),
}
models = pytest.mark.parametrize("case", CASES)


def drawn(truth, count=1500, seed=5, horizon=0.0):
    rng = np.random.default_rng(seed)
    return truth.simulate(np.round(rng.uniform(20, 60, count)), rng, horizon=horizon)


@models
def test_draws_lie_about_the_estimate_as_widely_as_its_standard_errors_say(case):
    learner, truth = CASES[case]
    summary = drawn(truth, 4000)
    fitted = learner.fit(summary)
    found = posterior(learner, summary, rng=np.random.default_rng(1))
    assert not found.is_doubtful
    assert found.draws.shape == (2000, len(truth.params))
    for n, name in enumerate(found.letters):
        error = fitted.standard_errors[name]
        assert found.effective_sample_size[name] > 400
        assert abs(found.draws[:, n].mean() - fitted.params[name]) < error
        assert found.draws[:, n].std() == pytest.approx(error, rel=0.5)


def test_parameter_intervals_cover_as_they_claim():
    """80 % intervals of 40 shops: 80 % of them within three standard errors."""
    learner, truth = CASES["NBD"]
    covered = []
    for seed in range(40):
        found = posterior(learner, drawn(truth, 300, seed), rng=np.random.default_rng(seed), draws=400)
        ends = found.interval(0.8)
        covered += [low <= truth.params[name] <= high for name, (low, high) in ends.items()]
    assert abs(np.mean(covered) - 0.8) < 3 * np.sqrt(0.16 / 40)


@models
def test_forecast_intervals_cover_as_they_claim(case):
    """By the randomised probability transform: within three standard errors of 80 %, and the total within its own."""
    learner, truth = CASES[case]
    summary = drawn(truth, 3000, horizon=30.0)
    came = summary["frequency_holdout"].to_numpy().astype(int)
    found = posterior(learner, summary, rng=np.random.default_rng(2))
    chances = found.purchase_count_distribution(summary, 30.0, most=150)
    assert chances.sum(axis=1) == pytest.approx(np.ones(3000))
    below = np.concatenate([np.zeros((3000, 1)), np.cumsum(chances, axis=1)], axis=1)
    rows = np.arange(3000)
    transform = below[rows, came] + np.random.default_rng(3).random(3000) * chances[rows, came]
    covered = ((transform > 0.1) & (transform < 0.9)).mean()
    assert abs(covered - 0.8) < 3 * np.sqrt(0.16 / 3000)
    mean, low, high = found.total_purchases(summary, 30.0, level=0.99)
    assert low < came.sum() < high
    assert low < mean < high


@models
def test_each_customer_has_an_interval_about_the_mean(case):
    learner, truth = CASES[case]
    summary = drawn(truth, 500)
    found = posterior(learner, summary, rng=np.random.default_rng(1), draws=500)
    for span in (found.expected_purchases(summary, 13.0), found.probability_alive(summary)):
        assert (span.low <= span.high).all()
        assert ((span.low <= span.mean + 1e-9) & (span.mean <= span.high + 1e-9)).mean() > 0.95
    narrow, wide = (found.expected_purchases(summary, 13.0, level=one) for one in (0.5, 0.95))
    assert (wide.high - wide.low > narrow.high - narrow.low).all()


def test_weights_count_regularity_is_found_and_collapse_is_reported():
    learner, truth = CASES["MBG/NBD"]
    summary = drawn(truth, 800)
    thrice = pa.concat_tables([summary] * 3)
    found = posterior(learner, summary, rng=np.random.default_rng(1), draws=300)
    assert found.total_purchases(deduplicated(thrice), 9.0) == pytest.approx(found.total_purchases(thrice, 9.0))
    regular = FittedBetaGeo(Estimates({**TRUTH, "alpha": 2.0}), k=3)
    of_regular = drawn(regular, 3000)
    k = RegularBetaGeo().fit(of_regular).k
    assert posterior(RegularBetaGeo(), of_regular, rng=np.random.default_rng(1), draws=50).mode.k == k > 1
    of_nbd = posterior(NBD(), drawn(CASES["NBD"][1], 500), rng=np.random.default_rng(1), draws=50)
    assert of_nbd.mode.is_collapsed
    assert not found.mode.is_collapsed
    with pytest.raises(ValueError, match="the posterior of transaction_z is not worked out"):
        posterior(ParetoNBDCovariates(("z",)), summary, rng=np.random.default_rng(1))


def test_the_same_seed_draws_the_same_and_the_prior_holds_where_the_data_say_nothing():
    learner, truth = BetaGeo(), CASES["NBD"][1]
    summary = drawn(truth, 1500)
    one, same = (posterior(learner, summary, rng=np.random.default_rng(4), draws=300) for _ in range(2))
    assert np.array_equal(one.draws, same.draws)
    assert np.isfinite(one.draws).all()
    assert 0 < one.kept_share <= 1
    with pytest.raises(NotEnoughData):
        posterior(learner, summary.slice(0, 3), rng=np.random.default_rng(1))
