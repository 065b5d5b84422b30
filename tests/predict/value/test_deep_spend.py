"""The network of spend; most of its tests run where torch is installed."""

import sys

import numpy as np
import pyarrow as pa
import pytest
from tests.support.shops.few_buyers import few_buy

from patron.estimators.learner import FORECAST, installed_learners
from patron.predict.value import LEARNERS
from patron.predict.value.deep_spend import DeepSpend
from patron.predict.value.probability_times_spend import ProbabilityTimesSpend
from patron.predict.value.training_matrix import TrainingMatrix
from patron.schema.errors import MissingExtra, NotEnoughData
from patron.schema.models import metrics
from patron.schema.numbers import float_column

COLUMNS = 12


def smooth_shop(count=4_000, seed=1):
    """Half of the customers buy; what they spend follows a smooth mixture of many columns. Rows learned from, others,
    and what these spent."""
    table, _, label = few_buy(0.5, count, seed)
    rng = np.random.default_rng(seed)
    columns, weights = rng.normal(size=(count, COLUMNS)), rng.normal(size=COLUMNS)
    mixture = columns @ weights / np.linalg.norm(weights)
    logs = 8 + 0.8 * np.sin(1.5 * mixture) + 0.5 * mixture + rng.normal(0, 0.4, count)
    label = np.where(label > 0, np.exp(logs), 0.0)
    for at in range(COLUMNS):
        table = table.append_column(f"x{at}", pa.array(np.tile(columns[:, at], 2)))
    both = pa.chunked_array([pa.array(label), pa.nulls(count, pa.float64())])
    table = table.set_column(table.column_names.index("label"), "label", both)
    is_known = np.tile(np.arange(count) < count // 2, 2)
    others = table.slice(count).filter(pa.array(~is_known[:count]))
    return table.filter(pa.array(is_known)), others, label[count // 2 :]


def test_without_torch_it_is_no_candidate_and_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert [one.name for one in LEARNERS if one not in installed_learners(LEARNERS)] == [DeepSpend.name]
    with pytest.raises(MissingExtra, match="torch is not installed"):
        DeepSpend().fit(None, {})


@pytest.mark.extra
def test_where_spend_follows_a_smooth_mixture_it_is_better_than_trees(import_extra):
    import_extra("torch", "deep")
    known, others, actual = smooth_shop()
    error, fitted = {}, {}
    for learner in LEARNERS[2:]:
        fitted[learner.name] = learner.fit_from(known, fitted)
        forecast = float_column(fitted[learner.name].predict(others), FORECAST)
        error[learner.name] = metrics.RMSE_WINSORISED.of(actual, forecast)
    assert min(error, key=error.get) == DeepSpend.name


@pytest.mark.extra
def test_what_moved_a_forecast_goes_the_way_of_the_forecast(import_extra):
    import_extra("torch", "deep")
    known, others, _ = smooth_shop()
    value = ProbabilityTimesSpend(DeepSpend()).fit(known)
    _, moved = value.contributions(others)
    log_forecast = np.log(float_column(value.predict(others), FORECAST))
    assert np.corrcoef(moved.sum(axis=1), log_forecast)[0, 1] > 0.99


@pytest.mark.extra
def test_few_buyers_are_too_few(import_extra):
    import_extra("torch", "deep")
    with pytest.raises(NotEnoughData, match="fewer than 200 bought"):
        DeepSpend().fit(TrainingMatrix.of(few_buy(0.02)[0]), {})
