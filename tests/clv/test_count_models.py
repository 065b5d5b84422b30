"""Every model of order counts, held to the same promises: recovery, calibration, gradients, finiteness."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.special import gammaln, hyp2f1

from patron.clv import (
    NBD,
    BetaGeo,
    BetaGeoBetaBinom,
    GammaGamma,
    ModifiedBetaGeo,
    ParetoNBD,
    RegularBetaGeo,
    RegularModifiedBetaGeo,
    deduplicated,
    load_model,
    posterior,
    rfm,
)
from patron.clv.beta_geo import FittedBetaGeo
from patron.clv.beta_geo_beta_binom import FittedBetaGeoBetaBinom
from patron.clv.distinct_histories import Histories
from patron.clv.maximum_likelihood import LOG_BOUND, Estimates, maximise
from patron.clv.nbd import FittedNBD
from patron.clv.pareto_nbd import FittedParetoNBD
from patron.schema.errors import NotEnoughData

RATES = {"r": 0.7, "alpha": 6.0}
LEAVING = {"a": 0.9, "b": 2.5}
CASES = {
    "NBD": (NBD(), FittedNBD(Estimates(RATES))),
    "Pareto/NBD": (ParetoNBD(), FittedParetoNBD(Estimates({**RATES, "s": 0.7, "beta": 9.0}))),
    "BG/NBD": (BetaGeo(), FittedBetaGeo(Estimates({**RATES, **LEAVING}))),
    "MBG/NBD": (ModifiedBetaGeo(), FittedBetaGeo(Estimates({**RATES, **LEAVING}), first_too=True)),
    "BG/CNBD-3": (RegularBetaGeo(3), FittedBetaGeo(Estimates({**RATES, **LEAVING, "alpha": 2.0}), k=3)),
    "MBG/CNBD-2": (
        RegularModifiedBetaGeo(2),
        FittedBetaGeo(Estimates({**RATES, **LEAVING, "alpha": 3.0}), k=2, first_too=True),
    ),
    "BG/BB": (
        BetaGeoBetaBinom(),
        FittedBetaGeoBetaBinom(Estimates({"alpha": 1.2, "beta": 0.75, "gamma": 0.65, "delta": 2.8})),
    ),
}
HORIZON = 30.0
models = pytest.mark.parametrize("case", CASES)


def drawn(case, count=4000, horizon=0.0, seed=5):
    rng = np.random.default_rng(seed)
    ages = np.full(count, 8.0) if case == "BG/BB" else np.round(rng.uniform(20, 60, count), 1)
    return CASES[case][1].simulate(ages, rng, horizon=horizon)


def horizon_of(case):
    return 5.0 if case == "BG/BB" else HORIZON


@models
def test_parameters_come_back_within_three_standard_errors(case):
    learner, truth = CASES[case]
    fitted = learner.fit(drawn(case, 12_000))
    for name, value in truth.params.items():
        error = fitted.standard_errors[name]
        assert error > 0
        assert abs(fitted.params[name] - value) < 3 * error, name


@models
def test_forecasts_come_true(case):
    """Of simulated customers: the orders to come in all and by count, within four standard errors."""
    _, truth = CASES[case]
    horizon = horizon_of(case)
    summary = drawn(case, 20_000, horizon=horizon)
    came = summary["frequency_holdout"].to_numpy()
    expected = truth.expected_purchases(summary, horizon)
    assert abs((came - expected).mean()) < 4 * (came - expected).std() / np.sqrt(len(came))
    chances = truth.purchase_count_distribution(summary, horizon, most=4)
    counted = np.bincount(np.minimum(came, 4).astype(int), minlength=5)
    assert (np.abs(counted - chances.sum(axis=0)) < 4 * np.sqrt((chances * (1 - chances)).sum(axis=0))).all()


@models
def test_a_new_customer_is_as_those_who_are_drawn(case):
    _, truth = CASES[case]
    horizon = horizon_of(case)
    new = truth.simulate(np.full(20_000, horizon), np.random.default_rng(8))["frequency"].to_numpy()
    assert abs(truth.expected_purchases_new(horizon) - new.mean()) < 4 * new.std() / np.sqrt(len(new))
    (chances,) = truth.purchase_count_distribution(None, horizon, most=2)
    shares = [(new == 0).mean(), (new == 1).mean(), (new > 1).mean()]
    assert chances == pytest.approx(shares, abs=4 * 0.5 / np.sqrt(len(new)))


@models
def test_probabilities_of_counts_sum_to_one_and_agree_with_the_other_answers(case):
    _, truth = CASES[case]
    summary, horizon = drawn(case, 300), horizon_of(case)
    chances = truth.purchase_count_distribution(summary, horizon, most=400)
    assert (chances >= 0).all()
    assert chances.sum(axis=1) == pytest.approx(np.ones(300), abs=1e-12)
    assert 1 - chances[:, 0] == pytest.approx(truth.probability_of_purchase(summary, horizon), abs=1e-9)
    mean = chances @ np.arange(401)
    assert mean == pytest.approx(truth.expected_purchases(summary, horizon), rel=1e-6)


@models
def test_alive_is_a_probability_and_no_time_has_no_purchases(case):
    _, truth = CASES[case]
    summary = drawn(case, 300)
    alive = truth.probability_alive(summary)
    assert ((alive >= 0) & (alive <= 1)).all()
    assert (truth.expected_purchases(summary, 0.0) == 0).all()
    assert truth.probability_of_purchase(summary, 0.0) == pytest.approx(np.zeros(300), abs=1e-12)


@models
def test_the_gradient_is_that_of_the_likelihood(case):
    learner, truth = CASES[case]
    objective = learner.objective(Histories.of(drawn(case, 400), *learner.columns()))
    at = np.log(list(truth.params.values())) + np.linspace(-0.2, 0.3, len(truth.params))
    numeric = approx_fprime(at, lambda logs: objective(logs)[0], 1e-6)
    assert objective(at)[1] == pytest.approx(numeric, abs=2e-5)


@models
def test_weights_stand_for_customers_and_their_order_does_not_matter(case):
    learner, _ = CASES[case]
    summary = drawn(case, 1500)
    fitted = learner.fit(summary)
    shuffled = summary.take(pa.array(np.random.default_rng(1).permutation(summary.num_rows)))
    for same in (deduplicated(summary), shuffled):
        again = learner.fit(same)
        assert again.params == pytest.approx(fitted.params, rel=1e-4)
        assert again.log_likelihood == pytest.approx(fitted.log_likelihood, abs=1e-5)


@models
def test_a_saved_model_says_the_same_to_the_last_bit(case, tmp_path):
    learner, _ = CASES[case]
    summary = drawn(case, 500)
    fitted = learner.fit(summary)
    fitted.save(tmp_path / "model.json")
    loaded = load_model(tmp_path / "model.json")
    assert loaded.params == fitted.params
    assert loaded.standard_errors == pytest.approx(fitted.standard_errors, nan_ok=True)
    horizon = horizon_of(case)
    assert (loaded.expected_purchases(summary, horizon) == fitted.expected_purchases(summary, horizon)).all()


@models
def test_a_customer_alone_gets_the_same_answer_as_among_many(case):
    _, truth = CASES[case]
    summary, horizon = drawn(case, 200), horizon_of(case)
    many = truth.expected_purchases(summary, horizon), truth.probability_alive(summary)
    for place in (0, 57, 199):
        one = summary.slice(place, 1)
        alone = truth.expected_purchases(one, horizon)[0], truth.probability_alive(one)[0]
        assert alone == (many[0][place], many[1][place])


@models
def test_next_to_nobody_and_impossible_histories_are_refused(case):
    learner, _ = CASES[case]
    row = {"frequency": [1.0], "recency": [2.0], "T": [3.0], "log_gaps": [0.5]}
    with pytest.raises(NotEnoughData, match="1 customers with an order"):
        learner.fit(pa.table(row))
    many = {name: values * 20 for name, values in row.items()}
    for change, words in (
        ({"recency": [4.0] * 20}, "20 rows have recency after T"),
        ({"frequency": [0.0] * 20}, "20 rows have recency without a repeat order"),
        ({"frequency": [-1.0] * 20}, "20 rows have frequency below 0"),
        ({"T": [float("nan")] * 20}, "T: 20 values are missing or infinite"),
    ):
        with pytest.raises(ValueError, match=words):
            learner.fit(pa.table({**many, **change}))
    with pytest.raises(ValueError, match="no column T"):
        learner.fit(pa.table({"frequency": [1.0], "recency": [1.0]}))


def test_the_unit_of_time_changes_only_what_has_a_unit():
    for case, in_time in (("NBD", {"alpha"}), ("Pareto/NBD", {"alpha", "beta"}), ("MBG/NBD", {"alpha"})):
        learner, _ = CASES[case]
        weeks = drawn(case, 1500)
        days = weeks
        for name in ("recency", "T"):
            days = days.set_column(days.column_names.index(name), name, pa.array(weeks[name].to_numpy() * 7))
        one, other = learner.fit(weeks), learner.fit(days)
        for name, value in one.params.items():
            assert other.params[name] == pytest.approx(value * (7 if name in in_time else 1), rel=1e-4)
        assert other.expected_purchases(days, 70.0) == pytest.approx(one.expected_purchases(weeks, 10.0), rel=1e-4)


def test_expected_orders_are_those_of_the_hypergeometric_form():
    r, alpha, a, b, t = 0.2426, 4.4136, 0.7929, 2.4259, 39.0
    x = np.array([0.0, 1.0, 2.0, 7.0, 26.0])
    tx, T = np.array([0.0, 10.0, 30.4, 33.0, 38.0]), np.full(5, 38.9)
    shrink = ((alpha + T) / (alpha + T + t)) ** (r + x)
    series = hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + T + t))
    alive = 1 + (x > 0) * a / (b + np.maximum(x, 1) - 1) * ((alpha + T) / (alpha + tx)) ** (r + x)
    expected = (a + b + x - 1) / (a - 1) * (1 - shrink * series) / alive
    fitted = FittedBetaGeo(Estimates({"r": r, "alpha": alpha, "a": a, "b": b}))
    summary = pa.table({"frequency": x, "recency": tx, "T": T})
    assert fitted.expected_purchases(summary, t) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("law", [(0.55, 10.6, 0.6, 11.7), (0.5, 3.0, 0.3, 2000.0), (5.0, 30.0, 2.0, 0.01)])
def test_pareto_nbd_is_the_integral_over_when_a_customer_left(law):
    r, alpha, s, beta = law
    histories = [(0.0, 0.0, 30.0), (1.0, 4.0, 39.0), (9.0, 38.0, 39.0), (3.0, 39.0, 39.0)]
    found = 0.0
    for x, tx, T in histories:
        alive = (alpha + T) ** -(r + x) * (beta + T) ** -s
        left = quad(lambda y: (alpha + y) ** -(r + x) * (beta + y) ** -(s + 1), tx, T, epsabs=0, epsrel=1e-12)[0]  # noqa: B023
        gammas = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
        found += gammas + np.log(alive + s * left)
    columns = dict(zip(("frequency", "recency", "T"), map(np.array, zip(*histories, strict=True)), strict=True))
    value, _ = ParetoNBD().objective(Histories.of(pa.table(columns)))(np.log(law))
    assert value * len(histories) == pytest.approx(found, rel=1e-9)


HARD = {
    "frequency": [221.0, 254, 161, 204, 800, 400, 0, 1, 5000, 0, 1],
    "recency": [103.43, 97.14, 94.71, 98.57, 500, 1, 0, 0, 900, 0, 0.0],
    "T": [103.57, 97.29, 98.00, 99.43, 501, 700, 50, 0, 1000, 0, 2000.0],
}
RATE_LAWS = [(0.5143, 2.8845), (0.5, 3.0), (5.0, 3000.0), (0.3, 4.0), (0.7, 60.0), (1e-3, 1e-3), (900.0, 1e6)]
LEAVING_LAWS = [(0.2856, 14.1087), (0.3, 2000.0), (20.0, 0.001), (0.3, 0.4), (1.0, 2.0), (4e-5, 2800.0)]


@pytest.mark.parametrize("rates", RATE_LAWS)
@pytest.mark.parametrize("leaving", LEAVING_LAWS)
@pytest.mark.parametrize("kind", ["pareto", "betageo", "modified", "regular"])
def test_hard_histories_stay_finite(rates, leaving, kind):
    (r, alpha), (a, b) = rates, leaving
    if kind == "pareto":
        fitted = FittedParetoNBD(Estimates({"r": r, "alpha": alpha, "s": a, "beta": b}))
    else:
        fitted = FittedBetaGeo(
            Estimates({"r": r, "alpha": alpha, "a": a, "b": b}),
            k=3 if kind == "regular" else 1,
            first_too=kind != "betageo",
        )
    summary = pa.table(HARD)
    for chance in (fitted.probability_alive(summary), fitted.probability_of_purchase(summary, 90.0)):
        assert ((chance >= 0) & (chance <= 1)).all()
    orders = fitted.expected_purchases(summary, 90.0)
    assert np.isfinite(orders).all()
    assert (orders >= 0).all()
    chances = fitted.purchase_count_distribution(summary, 90.0, most=5)
    assert (chances >= 0).all()
    assert chances.sum(axis=1) == pytest.approx(np.ones(len(orders)), abs=1e-9)


SHAPES = {
    "nobody came back": {"frequency": 0, "recency": 0, "T": "uniform"},
    "all came back once at the end": {"frequency": 1, "recency": "T", "T": 20.0},
    "everybody the same": {"frequency": 3, "recency": 10.0, "T": 20.0},
    "observed for no time": {"frequency": 0, "recency": 0, "T": 0.0},
    "thousands of orders": {"frequency": 3000, "recency": 19.0, "T": 20.0},
    "ages of seconds": {"frequency": 2, "recency": 1e-6, "T": 2e-6},
    "ages of centuries": {"frequency": 2, "recency": 5e6, "T": 9e6},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("case", [case for case in CASES if case != "BG/BB"])
def test_every_shape_of_data_is_fitted_and_answered(case, shape):
    shape_values = SHAPES[shape]
    T = np.linspace(5, 50, 60) if shape_values["T"] == "uniform" else np.full(60, shape_values["T"])
    recency = T if shape_values["recency"] == "T" else np.full(60, float(shape_values["recency"]))
    summary = pa.table(
        {
            "frequency": np.full(60, float(shape_values["frequency"])),
            "recency": recency,
            "T": T,
            "log_gaps": np.zeros(60),
        }
    )
    fitted = CASES[case][0].fit(summary)
    assert np.isfinite(list(fitted.params.values())).all()
    assert np.isfinite(fitted.log_likelihood)
    for answer in (fitted.expected_purchases(summary, 13.0), fitted.probability_alive(summary)):
        assert np.isfinite(answer).all()
        assert (answer >= 0).all()


@pytest.mark.parametrize("case", ["Pareto/NBD", "BG/NBD", "MBG/NBD"])
def test_without_drop_out_the_model_says_so(case):
    assert CASES[case][0].fit(drawn("NBD", 4000)).is_collapsed
    assert not CASES[case][0].fit(drawn(case, 4000)).is_collapsed


def test_a_sample_that_misleads_leads_nowhere_out_of_bounds():
    """Its curvature, nearly flat, would have sent the next step to where exp gives 0."""

    def parabola(curve):
        def value(at):
            assert np.abs(at).max() <= LOG_BOUND
            return float(-0.5 * curve * (at[0] - 2) ** 2), np.array([-curve * (at[0] - 2)])

        return value

    at, second = maximise(parabola(1.0), np.zeros(1), sample=parabola(1e-6))
    assert (at, second) == (pytest.approx(np.array([2.0]), abs=1e-6), pytest.approx(np.array([[-1.0]]), rel=1e-6))


def test_regularity_is_found():
    assert RegularBetaGeo().fit(drawn("BG/CNBD-3", 4000)).k == 3
    assert RegularModifiedBetaGeo().fit(drawn("MBG/NBD", 4000)).k == 1
    with pytest.raises(ValueError, match="no column log_gaps"):
        RegularBetaGeo().fit(drawn("BG/CNBD-3").drop_columns(["log_gaps"]))


def test_bg_bb_counts_whole_periods():
    summary = pa.table({"frequency": [1.0] * 20, "recency": [1.5] * 20, "T": [3.0] * 20})
    with pytest.raises(ValueError, match=r"recency: BG/BB counts whole periods, not 1\.5"):
        BetaGeoBetaBinom().fit(summary)
    _, truth = CASES["BG/BB"]
    with pytest.raises(ValueError, match="whole periods"):
        truth.expected_purchases(drawn("BG/BB", 10), 1.5)


def test_a_file_that_is_not_a_model_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(ValueError, match="not a saved model of customer value"):
        load_model(tmp_path / "x.json")


def test_models_are_settings():
    assert all(dataclasses.is_dataclass(learner) for learner, _ in CASES.values())
    assert BetaGeo() == BetaGeo()


PUBLISHED = {
    ("cdnow_sample", BetaGeo): ((0.2426, 4.4136, 0.7929, 2.4259), -9582.429),
    ("cdnow_sample", ModifiedBetaGeo): ((0.5248, 6.1831, 0.8914, 1.6140), -9582.136),
    ("cdnow_sample", ParetoNBD): ((0.5533, 10.578, 0.6062, 11.669), -9594.976),
    ("cdnow_sample", NBD): ((0.3848, 12.072), -9763.66),
    ("cdnow_sample", GammaGamma): ((6.2496, 3.7442, 15.4435), -4055.918),
    ("cdnow_master", BetaGeo): ((0.2516, 4.7889, 0.7234, 2.1611), -95368.444),
    ("cdnow_master", ModifiedBetaGeo): ((0.6371, 7.3103, 0.8075, 1.2284), -95336.958),
    ("cdnow_master", ParetoNBD): ((0.5974, 11.5857, 0.5222, 8.8277), -95415.119),
    ("cdnow_master", NBD): ((0.3872, 12.2712), -96845.34),
    ("cdnow_master", GammaGamma): ((6.2754, 3.6245, 14.9837), -40763.476),
}


@pytest.fixture
def cdnow(real_data):
    """Summary of one of CDNOW's two files, whose fits are published."""
    return lambda name: rfm(pq.read_table(real_data(f"{name}.parquet")), until="1997-09-30", time="date")


@pytest.mark.parametrize(("name", "model"), PUBLISHED)
def test_published_fits_are_reproduced(cdnow, name, model):
    """To the digits that are printed, within one of the last."""
    params, log_likelihood = PUBLISHED[name, model]
    learner = GammaGamma(first_order=False) if model is GammaGamma else model()
    fitted = learner.fit(cdnow(name))
    assert list(fitted.params.values()) == pytest.approx(params, rel=5e-5, abs=6e-5)
    assert fitted.log_likelihood == pytest.approx(log_likelihood, abs=5e-3 if model is NBD else 1e-3)


def test_standard_errors_are_those_of_clvtools(cdnow):
    errors = ParetoNBD().fit(cdnow("cdnow_sample")).standard_errors
    assert list(errors.values()) == pytest.approx([0.0476, 0.8427, 0.1873, 6.2105], rel=0.02)


@pytest.mark.parametrize("horizon", [-3, "13", "13W", None, float("nan"), float("inf")])
def test_an_invalid_horizon_is_refused_with_what_to_name(horizon):
    summary = pa.table({"frequency": [2.0] * 20, "recency": np.linspace(1, 8, 20), "T": [10.0] * 20})
    fitted = BetaGeo().fit(summary)
    drawn = posterior(BetaGeo(), summary, rng=np.random.default_rng(1), draws=50)
    for one in (fitted, drawn):
        for ask in (one.expected_purchases, one.purchase_count_distribution):
            with pytest.raises(ValueError, match="0 or more; see horizon_of"):
                ask(summary, horizon)
    for ask in (fitted.expected_purchases_new, lambda ahead: drawn.total_purchases(summary, ahead)):
        with pytest.raises(ValueError, match="0 or more; see horizon_of"):
            ask(horizon)
