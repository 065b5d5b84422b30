"""Pareto/NBD with what is known of customers and of the days: recovery, exactness, forecasts, refusals."""

import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.special import gammaln

from patron.clv import (
    Calendar,
    ParetoNBD,
    ParetoNBDCovariates,
    SeasonalParetoNBD,
    deduplicated,
    load_model,
    rfm,
    with_calendar,
)
from patron.clv.covariate_calendar import FIRST
from patron.clv.distinct_histories import Histories
from patron.clv.maximum_likelihood import Estimates
from patron.clv.pareto_nbd import FittedParetoNBD
from patron.clv.pareto_nbd_covariates import FittedParetoNBDCovariates
from patron.clv.time_varying import FittedSeasonalParetoNBD

START = date(2022, 1, 3)
LETTERS = {"r": 0.7, "alpha": 6.0, "s": 0.7, "beta": 9.0}
OWN = {"transaction_member": 0.5, "transaction_log_spend": -0.3, "dropout_member": 0.4}
ON_DAYS = {"transaction_member": 0.5, "transaction_season": 0.8, "transaction_wave": 0.3, "dropout_season": -0.6}
STATIC = ParetoNBDCovariates(("member", "log_spend"), ("member",))
TRUTH = FittedParetoNBDCovariates(Estimates({**LETTERS, **OWN}), ("member", "log_spend"), ("member",))


def weeks_of(count):
    """A calendar of weeks, eight of a year in season, and something that goes up and down."""
    starts = [START + timedelta(weeks=week) for week in range(count)]
    return pa.table(
        {
            "from": starts,
            "until": [day + timedelta(days=6) for day in starts],
            "season": [float(week % 52 >= 44) for week in range(count)],
            "wave": np.sin(0.7 * np.arange(count)),
        }
    )


CALENDAR = Calendar.of(weeks_of(140))
NOW = START + timedelta(weeks=78, days=-1)
"""A summary's last day; the season of the horizon begins 18 weeks later."""
SEASONAL = SeasonalParetoNBD(CALENDAR, ("member", "season", "wave"), ("season",))
SEASONAL_TRUTH = FittedSeasonalParetoNBD(
    Estimates({**LETTERS, **ON_DAYS}, unit="W"),
    ("member",),
    calendar=CALENDAR,
    calendar_transaction=("season", "wave"),
    calendar_dropout=("season",),
)
LEARNERS = {"static": (STATIC, TRUTH), "seasonal": (SEASONAL, SEASONAL_TRUTH)}
both = pytest.mark.parametrize("case", LEARNERS)


def drawn(case, count=4000, horizon=0.0, seed=5):
    rng = np.random.default_rng(seed)
    T = np.round(rng.uniform(20, 76, count), 1)
    member = rng.integers(0, 2, count).astype(float)
    if case == "static":
        covariates = {"member": member, "log_spend": np.round(rng.normal(size=count), 1)}
        return TRUTH.simulate(T, rng, horizon=horizon, covariates=covariates)
    return SEASONAL_TRUTH.simulate(T, rng, horizon=horizon, covariates={"member": member}, until=NOW)


def likelihood(case, summary):
    learner, _ = LEARNERS[case]
    sums = ("season_at_orders", "wave_at_orders", FIRST) if case == "seasonal" else ()
    return learner.objective(Histories.of(summary, *learner.columns(), *sums))


def put(table, **columns):
    for name, column in columns.items():
        values = pa.array(np.broadcast_to(np.asarray(column, dtype=float), table.num_rows))
        table = table.drop_columns([name]) if name in table.column_names else table
        table = table.append_column(name, values)
    return table


@both
def test_parameters_come_back_within_three_standard_errors(case):
    learner, truth = LEARNERS[case]
    fitted = learner.fit(drawn(case, 6000))
    assert list(fitted.params) == list(truth.params)
    for name, value in truth.params.items():
        error = fitted.standard_errors[name]
        assert 0 < error < 3
        assert abs(fitted.params[name] - value) < 3 * error, name


@both
def test_the_gradient_is_that_of_the_likelihood(case):
    _, truth = LEARNERS[case]
    objective = likelihood(case, drawn(case, 300))
    at = np.array([*np.log(list(truth.params.values())[:4]), *list(truth.params.values())[4:]])
    at += np.linspace(-0.2, 0.3, len(at))
    numeric = approx_fprime(at, lambda one: objective(one)[0], 1e-6)
    assert objective(at)[1] == pytest.approx(numeric, abs=2e-5)


@both
def test_without_effects_the_likelihood_is_that_of_pareto_nbd(case):
    summary = drawn(case, 1000)
    logs = np.log([0.6, 5.0, 0.8, 11.0])
    plain, slopes = ParetoNBD().objective(Histories.of(summary))(logs)
    learner, _ = LEARNERS[case]
    value, more = likelihood(case, summary)(np.concatenate([logs, np.zeros(len(learner.effects()))]))
    assert value == pytest.approx(plain, abs=1e-9)
    assert more[:4] == pytest.approx(slopes, abs=1e-9)


@both
def test_without_covariates_the_fit_is_that_of_pareto_nbd(case):
    summary = drawn(case, 1000)
    plain = ParetoNBD().fit(summary)
    fitted = (ParetoNBDCovariates() if case == "static" else SeasonalParetoNBD(CALENDAR)).fit(summary)
    assert fitted.params == pytest.approx(plain.params, rel=1e-5)
    assert fitted.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-9)
    for answer in ("expected_purchases", "probability_of_purchase"):
        found = getattr(fitted, answer)(summary, 30.0)
        assert found == pytest.approx(getattr(plain, answer)(summary, 30.0), rel=1e-5)


def test_a_covariate_of_customers_divides_their_alpha_and_beta():
    summary = drawn("static", 50)
    answers = TRUTH.expected_purchases(summary, 13.0), TRUTH.probability_alive(summary)
    for place, row in enumerate(summary.to_pylist()):
        alpha = 6.0 * math.exp(-0.5 * row["member"] + 0.3 * row["log_spend"])
        static = FittedParetoNBD(Estimates({**LETTERS, "alpha": alpha, "beta": 9.0 * math.exp(-0.4 * row["member"])}))
        one = summary.slice(place, 1)
        assert answers[0][place] == pytest.approx(static.expected_purchases(one, 13.0)[0], rel=1e-12)
        assert answers[1][place] == pytest.approx(static.probability_alive(one)[0], rel=1e-12)


def along(first, week, effects):
    """Integral of the multiplier from a first order (weeks from the calendar's beginning) for so many weeks."""
    season, wave = CALENDAR.values["season"], CALENDAR.values["wave"]
    total, at, end = 0.0, first, first + week
    while at < end - 1e-12:
        place = int(at + 1e-9)
        until = min(place + 1.0, end)
        total += (until - at) * math.exp(effects[0] * season[place] + effects[1] * wave[place])
        at = until
    return total


def test_the_seasonal_likelihood_is_the_integral_over_when_a_customer_left():
    r, alpha, s, beta = LETTERS.values()
    ours = {**LETTERS, "transaction_season": 0.8, "transaction_wave": 0.3, "dropout_season": -0.6}
    histories = [(0.0, 0.0, 30.0), (1.0, 4.3, 39.6), (9.0, 58.0, 59.2), (3.0, 39.0, 39.0)]
    origin, found = 60.0, 0.0
    for x, tx, T in histories:

        def order(y, T=T):
            return alpha + along(origin - T, y, (0.8, 0.3))

        def leave(y, T=T):
            return beta + along(origin - T, y, (-0.6, 0.0))

        def density(y, x=x, T=T):
            hazard = math.exp(-0.6 * CALENDAR.values["season"][int(origin - T + y)])
            return order(y, T) ** -(r + x) * leave(y, T) ** -(s + 1) * hazard

        breaks = [tx, *(week for week in np.arange(1 - (origin - T) % 1, T) if week > tx), T]
        left_integral = sum(quad(density, low, high, epsabs=0, epsrel=1e-12)[0] for low, high in pairwise(breaks))
        gammas = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
        found += (
            gammas + np.log(order(T) ** -(r + x) * leave(T) ** -s + s * left_integral) + 0.8 * 0.5 * x + 0.3 * 0.2 * x
        )
    columns = dict(zip(("frequency", "recency", "T"), map(np.array, zip(*histories, strict=True)), strict=True))
    first = CALENDAR.bounds[0] + 7 * (origin - columns["T"])
    covariates = {
        FIRST: first,
        "season_at_orders": 0.5 * columns["frequency"],
        "wave_at_orders": 0.2 * columns["frequency"],
    }
    rows = Histories.of(pa.table(columns | covariates), *covariates)
    value, _ = SeasonalParetoNBD(CALENDAR, ("season", "wave"), ("season",)).objective(rows)(
        np.array([*np.log(list(LETTERS.values())), *list(ours.values())[4:]])
    )
    assert value * len(histories) == pytest.approx(found, rel=1e-9)


@both
def test_forecasts_come_true(case):
    """Orders of simulated holdouts, in all and by count, within four standard errors; the season is in their middle."""
    _, truth = LEARNERS[case]
    for horizon in (16.0, 22.0, 40.0):
        summary = drawn(case, 20_000, horizon=horizon)
        came = summary["frequency_holdout"].to_numpy()
        expected = truth.expected_purchases(summary, horizon)
        assert abs((came - expected).mean()) < 4 * (came - expected).std() / np.sqrt(len(came))
    chances = truth.purchase_count_distribution(summary, horizon, most=4)
    counted = np.bincount(np.minimum(came, 4).astype(int), minlength=5)
    assert (np.abs(counted - chances.sum(axis=0)) < 4 * np.sqrt((chances * (1 - chances)).sum(axis=0))).all()
    member = summary["member"].to_numpy() > 0
    for part in (member, ~member):
        off = (came - expected)[part]
        assert abs(off.mean()) < 4 * off.std() / np.sqrt(part.sum())


def test_orders_of_a_season_are_expected_in_it_and_not_spread_over_the_year():
    """Fitted to a season in the past, the model predicts the next one; Pareto/NBD spreads it over the year."""
    summary = drawn("seasonal", 6000)
    came, *in_season = [
        (fitted.expected_purchases(summary, 26.0) - fitted.expected_purchases(summary, 18.0)).sum()
        for fitted in (SEASONAL_TRUTH, SEASONAL.fit(summary), ParetoNBD().fit(summary))
    ]
    assert in_season[0] == pytest.approx(came, rel=0.08)
    assert in_season[1] < 0.75 * came


@both
def test_a_new_customer_is_as_those_who_are_drawn(case):
    _, truth = LEARNERS[case]
    covariates = {"member": 1.0}
    first = {} if case == "static" else {"first_on": NOW}
    until = {} if case == "static" else {"until": NOW + timedelta(weeks=30)}
    T, member = np.full(20_000, 30.0), {"member": np.ones(20_000)}
    new = truth.simulate(T, np.random.default_rng(8), covariates=member, **until)["frequency"].to_numpy()
    expected = truth.expected_purchases_new(30.0, covariates=covariates, **first)
    assert abs(expected - new.mean()) < 4 * new.std() / np.sqrt(len(new))
    plain = FittedParetoNBD(Estimates(LETTERS))
    assert truth.expected_purchases_new(30.0) == pytest.approx(plain.expected_purchases_new(30.0), rel=1e-12)
    assert truth.purchase_count_distribution(None, 30.0) == pytest.approx(plain.purchase_count_distribution(None, 30.0))
    assert truth.simulate(T[:9], np.random.default_rng(8))["frequency"].null_count == 0


@both
def test_probabilities_of_counts_sum_to_one_and_agree_with_the_other_answers(case):
    _, truth = LEARNERS[case]
    summary = drawn(case, 200)
    chances = truth.purchase_count_distribution(summary, 30.0, most=400)
    assert (chances >= 0).all()
    assert chances.sum(axis=1) == pytest.approx(np.ones(200), abs=1e-12)
    assert 1 - chances[:, 0] == pytest.approx(truth.probability_of_purchase(summary, 30.0), abs=1e-9)
    assert chances @ np.arange(401) == pytest.approx(truth.expected_purchases(summary, 30.0), rel=1e-6)
    assert (truth.expected_purchases(summary, 0.0) == 0).all()
    assert truth.probability_of_purchase(summary, 0.0) == pytest.approx(np.zeros(200), abs=1e-12)
    alive = truth.probability_alive(summary)
    assert ((alive >= 0) & (alive <= 1)).all()


@both
def test_a_saved_model_says_the_same_to_the_last_bit(case, tmp_path):
    learner, _ = LEARNERS[case]
    summary = drawn(case, 500)
    fitted = learner.fit(summary)
    fitted.save(tmp_path / "model.json")
    loaded = load_model(tmp_path / "model.json")
    assert loaded == fitted
    assert loaded.standard_errors == fitted.standard_errors
    assert (loaded.expected_purchases(summary, 30.0) == fitted.expected_purchases(summary, 30.0)).all()


@both
def test_weights_stand_for_customers_and_one_gets_the_same_answer_as_among_many(case):
    learner, truth = LEARNERS[case]
    summary = drawn(case, 700)
    fitted = learner.fit(summary)
    extras = (*learner.columns(), *((FIRST, "season_at_orders", "wave_at_orders") if case == "seasonal" else ()))
    again = learner.fit(deduplicated(summary, *extras))
    assert again.params == pytest.approx(fitted.params, rel=1e-4)
    assert again.log_likelihood == pytest.approx(fitted.log_likelihood, abs=1e-5)
    many = truth.expected_purchases(summary, 20.0)
    for place in (0, 57, 699):
        assert truth.expected_purchases(summary.slice(place, 1), 20.0)[0] == many[place]


def test_the_scale_of_a_covariate_changes_only_its_effect():
    summary = drawn("static", 2000)
    other = put(summary, log_spend=20 + 50 * summary["log_spend"].to_numpy())
    one, two = STATIC.fit(summary), STATIC.fit(other)
    assert two.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-5)
    for name in ("r", "s", "beta", "transaction_member", "dropout_member"):
        assert two.params[name] == pytest.approx(one.params[name], rel=1e-4)
        assert two.standard_errors[name] == pytest.approx(one.standard_errors[name], rel=1e-2)
    assert two.params["transaction_log_spend"] * 50 == pytest.approx(one.params["transaction_log_spend"], rel=1e-4)
    errors = [fitted.standard_errors["transaction_log_spend"] for fitted in (one, two)]
    assert errors[1] * 50 == pytest.approx(errors[0], rel=1e-2)
    assert two.expected_purchases(other, 9.0) == pytest.approx(one.expected_purchases(summary, 9.0), rel=1e-4)


def test_the_unit_of_time_changes_only_what_has_a_unit():
    weeks = drawn("seasonal", 700)
    days = put(weeks, recency=7 * weeks["recency"].to_numpy(), T=7 * weeks["T"].to_numpy())
    days = days.replace_schema_metadata({"patron.unit": "D"})
    one, other = SEASONAL.fit(weeks), SEASONAL.fit(days)
    for name, value in one.params.items():
        assert other.params[name] == pytest.approx(value * (7 if name in {"alpha", "beta"} else 1), rel=1e-4)
    assert other.expected_purchases(days, 70.0) == pytest.approx(one.expected_purchases(weeks, 10.0), rel=1e-4)


def test_simulated_customers_met_what_their_orders_say():
    """A summary of the simulated orders themselves is the simulated summary."""
    rng, T = np.random.default_rng(3), np.full(40, 70.0)
    truth = replace(SEASONAL_TRUTH, transaction=())
    rows = replace(truth.new_customers(T, None), extras={FIRST: np.full(40, CALENDAR.bounds[0] + 56.0)})
    steps = truth._orders(rows, 0.0, rng)
    until = START + timedelta(weeks=78, days=-1)
    simulated = truth.simulate(T, np.random.default_rng(3), until=until)
    begin = datetime(START.year, START.month, START.day) + timedelta(days=56)  # noqa: DTZ001
    placed = [(who, begin) for who in range(40)]
    placed += [
        (who, begin + timedelta(weeks=week)) for whose, when in steps for who, week in zip(whose, when, strict=True)
    ]
    orders = pa.table({"customer_id": [who for who, _ in placed], "ordered_at": [at for _, at in placed]})
    summary = rfm(orders, until=until, value=None, whole_days=False)
    again = with_calendar(summary, orders, CALENDAR, value=None, whole_days=False)
    for name in ("frequency", "recency", "T", "season_at_orders", "wave_at_orders", FIRST):
        assert again[name].to_numpy() == pytest.approx(simulated[name].to_numpy(), abs=1e-6), name


def test_what_is_missing_or_cannot_be_known_is_refused():
    summary = drawn("static", 200)
    refusals = (
        (ParetoNBDCovariates(("age",)), summary, "the summary has no column age"),
        (STATIC, put(summary, member=1.0), "member is 1 everywhere: its effect cannot be known"),
        (STATIC, put(summary, log_spend=1e6 + summary["log_spend"].to_numpy()), "take its mean from it"),
        (STATIC, put(summary, log_spend=1 - summary["member"].to_numpy()), "a combination of the others"),
    )
    for learner, table, words in refusals:
        with pytest.raises(ValueError, match=words):
            learner.fit(table)
    with pytest.raises(ValueError, match="no column member"):
        TRUTH.expected_purchases(summary.drop_columns(["member"]), 3.0)
    with pytest.raises(ValueError, match="the model has no covariate age; it has member, log_spend"):
        TRUTH.expected_purchases_new(3.0, covariates={"age": 4.0})


def test_covariates_that_a_calendar_lacks_are_refused():
    summary = drawn("seasonal", 200)
    long = "the calendar covers 2022-01-03 to 2024-09-08, and .* to 2025-.* is needed"
    with pytest.raises(ValueError, match=long):
        SEASONAL_TRUTH.expected_purchases(summary, 80.0)
    later = replace(SEASONAL_TRUTH, calendar=Calendar.of(weeks_of(200)))
    assert np.isfinite(later.expected_purchases(summary, 80.0)).all()
    with pytest.raises(ValueError, match="the calendar covers"):
        SEASONAL.fit(put(summary, **{FIRST: 0.0}))
    with pytest.raises(ValueError, match="no column first_day"):
        SEASONAL.fit(summary.drop_columns([FIRST]))
    with pytest.raises(ValueError, match="no column wave_at_orders"):
        SEASONAL.fit(summary.drop_columns(["wave_at_orders"]))
    with pytest.raises(ValueError, match="has no unit of time"):
        SEASONAL.fit(summary.replace_schema_metadata(None))
    summer = put(summary, T=9.0, frequency=0.0, recency=0.0, first_day=CALENDAR.bounds[0] + 1)
    with pytest.raises(ValueError, match="season is 0 everywhere"):
        SEASONAL.fit(summer)
    with pytest.raises(ValueError, match="the summary has no column promotion"):
        SeasonalParetoNBD(CALENDAR, ("promotion",)).fit(summary)
