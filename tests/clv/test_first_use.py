"""What a new user meets: help, what a model prints, and the right name for a wrong call."""

import copy
import pickle
import pydoc
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

import patron.clv
from patron.clv import (
    BetaGeo,
    CountLearner,
    CountModel,
    Estimates,
    FittedBetaGeo,
    FittedGammaGamma,
    GammaGamma,
    Hybrid,
    ParetoNBDCovariates,
    posterior,
    rfm,
)

TRUTH = FittedBetaGeo(Estimates({"r": 0.6, "alpha": 5.0, "a": 0.8, "b": 2.4}))
SPEND = FittedGammaGamma(Estimates({"p": 6.0, "q": 3.7, "v": 15.0}), 33.0)


def summary_of(count=2_000):
    rng = np.random.default_rng(1)
    table = TRUTH.simulate(np.linspace(29, 60, count), rng)
    frequency = table["frequency"].to_numpy()
    return (
        table.append_column("monetary_value", pa.array(SPEND.simulate(frequency, rng)))
        .append_column("monetary_value_with_first", pa.array(SPEND.simulate(frequency + 1, rng)))
        .append_column("member", pa.array(rng.integers(0, 2, count) * 1.0))
    )


SUMMARY = summary_of()
MODELS = [
    var
    for var in vars(patron.clv).values()
    if isinstance(var, type) and issubclass(var, CountModel | CountLearner) and var not in {CountModel, CountLearner}
]


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one.__name__)
def test_help_of_every_model_begins_with_what_it_answers(model):
    shown = pydoc.plain(pydoc.render_doc(model))
    first = shown.partition("Method resolution order")[0]
    for method in ("predict(summary, horizon)", "expected_purchases(summary, horizon)", "probability_alive(summary)"):
        assert method in first
    assert ("fit(frequency=" in first) == issubclass(model, CountLearner)


def test_a_fitted_model_prints_as_one_line_and_its_summary_has_standard_errors():
    fitted, spend = BetaGeo().fit(SUMMARY), GammaGamma().fit(SUMMARY)
    drawn = posterior(BetaGeo(), SUMMARY, rng=np.random.default_rng(1), draws=50)
    for one in (fitted, spend, drawn):
        assert "\n" not in repr(one)
        assert len(repr(one)) < 160
    assert "2,000 customers" in repr(fitted)
    summary = fitted.summary()
    assert summary.table["parameter"].to_pylist() == ["r", "alpha", "a", "b"]
    assert summary.table["standard_error"].to_pylist() == list(fitted.standard_errors.values())
    assert "standard_error" in str(summary)
    assert "log-likelihood" in str(summary)
    assert "<table>" in summary._repr_html_()
    assert "first orders: count" in str(spend.summary())


def test_intervals_of_a_summary_hold_the_estimate_and_effects_may_be_below_zero():
    table = ParetoNBDCovariates(transaction=("member",)).fit(SUMMARY).summary().table.to_pylist()
    for row in table:
        if np.isfinite(row["standard_error"]):
            assert row["low_95"] < row["estimate"] < row["high_95"]
            assert row["low_95"] > 0 or row["parameter"] == "transaction_member"
    effect = next(row for row in table if row["parameter"] == "transaction_member")
    assert effect["high_95"] - effect["estimate"] == pytest.approx(effect["estimate"] - effect["low_95"])


def test_the_hybrid_prints_short_and_sums_up_its_models():
    rng = np.random.default_rng(2)
    day = np.datetime64("2023-01-01") + rng.integers(0, 200, 2000)
    orders = pa.table({"customer_id": rng.integers(0, 400, 2000), "ordered_at": day, "value": rng.gamma(3, 9, 2000)})
    fitted = Hybrid().fit(orders, until="2023-07-31")
    assert len(repr(fitted)) < 160
    assert {"NBD r", "BG/NBD alpha"} <= set(fitted.summary().table["parameter"].to_pylist())


FITTED = BetaGeo().fit(SUMMARY)
WRONG_CALLS = [
    (lambda: BetaGeo().fit([1], [2], [3]), TypeError, r"by name: fit\(frequency=\.\.\., recency=\.\.\., T="),
    (BetaGeo().fit, TypeError, "rfm"),
    (lambda: BetaGeo().fit(SUMMARY, T=[1]), TypeError, "not both"),
    (lambda: GammaGamma().fit([1], [2]), TypeError, r"fit\(frequency=\.\.\., monetary_value="),
    (lambda: BetaGeo().fit(pa.table({"customer_id": ["a"], "ordered_at": [1]})), ValueError, r"rfm\(orders, until="),
    (lambda: BetaGeo().expected_purchases(SUMMARY, 1), AttributeError, r"not fitted: fitted = BetaGeo\(\).fit"),
    (lambda: BetaGeo().conditional_probability_alive(SUMMARY), AttributeError, "then fitted.probability_alive"),
    (lambda: GammaGamma().expected_spend(SUMMARY), AttributeError, "not fitted"),
    (lambda: FITTED.params_, AttributeError, "is params here"),
    (
        lambda: FITTED.conditional_expected_number_of_purchases_up_to_time(1),
        AttributeError,
        r"is expected_purchases\(summary, horizon\)",
    ),
    (lambda: FITTED.plot_frequency_recency_matrix, AttributeError, "patron.plots"),
    (lambda: FITTED.nothing, AttributeError, "has no attribute 'nothing'"),
    (lambda: FITTED.expected_purchases(13, SUMMARY), TypeError, "a table is needed .* not int"),
    (lambda: FITTED.expected_purchases(SUMMARY, SUMMARY), ValueError, "horizon"),
    (lambda: Hybrid().fit(SUMMARY, until="2024-01-01"), ValueError, "fitted to orders, not to a summary"),
    (
        lambda: rfm(pa.table({"Email": ["a"], "Created at": ["2024-01-01"], "Total": [1.0]}), until="2024-02-01"),
        ValueError,
        "name yours, customer='Email'",
    ),
    (
        lambda: rfm(pa.table({"customer_id": ["a"], "Created at": ["2024-01-01"]}), until="2024-02-01"),
        ValueError,
        "name yours, time='Created at'",
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), WRONG_CALLS)
def test_a_wrong_call_names_the_right_one(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    ("name", "right"), [("BetaGeoFitter", "BetaGeo"), ("summary_data_from_transaction_data", "rfm")]
)
def test_a_name_of_another_library_is_answered_with_ours(name, right):
    with pytest.raises(ImportError, match=rf"{name} is {right}"):
        exec(f"from patron.clv import {name}")  # noqa: S102
    with pytest.raises(AttributeError):
        _ = patron.clv.no_such_name


SHOPIFY = ["2024-03-01 10:15:00 +0100", "2024-03-31 23:30:00 -0500", "2024-03-05 08:00:00 UTC", "2024-03-06"]


def test_dates_are_read_as_shopify_writes_them():
    orders = pa.table({"customer_id": list("abcd"), "ordered_at": SHOPIFY, "value": [1.0] * 4})
    found = rfm(orders, until="2024-04-30 00:00:00 +0100", unit="D", whole_days=False)
    assert [str(first_at)[:19] for first_at in found["first_at"].to_pylist()] == [
        "2024-03-01 09:15:00",
        "2024-04-01 04:30:00",
        "2024-03-05 08:00:00",
        "2024-03-06 00:00:00",
    ]


@pytest.mark.parametrize("text", ["01/03/2024", "yesterday", "2024-13-01", ""])
def test_a_text_that_is_no_time_is_named_with_its_row_and_what_to_write(text):
    orders = pa.table({"customer_id": ["a", "b"], "ordered_at": ["2024-03-01", text]})
    with pytest.raises(ValueError, match=rf"'{text}' in row 2: write 2024-03-01") as refused:
        rfm(orders, until=datetime(2024, 4, 1), value=None)  # noqa: DTZ001 - no zone is UTC
    assert "Arrow" not in str(refused.value)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])  # noqa: S301 - our own
def test_models_are_copied_like_any_value(again):
    for one in (FITTED, BetaGeo(), GammaGamma(), GammaGamma().fit(SUMMARY)):
        assert repr(again(one)) == repr(one)
