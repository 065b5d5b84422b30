"""The network with the loss of ZILN; its tests run where torch is installed, one without runs everywhere."""

import sys

import numpy as np
import pytest

from patron.estimators.learner import FORECAST
from patron.predict.origins import at, known_at_origin
from patron.predict.value.deep_value import DeepZeroInflatedLogNormal, FittedDeep
from patron.schema.errors import MissingExtra
from patron.schema.models import metrics
from patron.schema.numbers import float_column


@pytest.fixture(scope="module")
def world(spend_rows):
    origin = max(spend_rows["as_of"].to_pylist())
    return known_at_origin(spend_rows, origin, 90), at(spend_rows, origin)


def test_without_torch_the_error_says_what_to_install(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match="torch is not installed"):
        DeepZeroInflatedLogNormal().fit(world[0])


@pytest.mark.extra
def test_it_forecasts_better_than_the_mean_the_same_each_time_one_row_as_many(world, import_extra, tmp_path):
    import_extra("torch", "deep")
    known, here = world
    fitted = DeepZeroInflatedLogNormal().fit(known)
    forecast, actual = float_column(fitted.predict(here), FORECAST), float_column(here, "label")
    assert np.isfinite(forecast).all()
    assert forecast.min() >= 0
    assert metrics.RMSE_WINSORISED.of(actual, forecast) < metrics.RMSE_WINSORISED.of(
        actual, np.full(len(actual), actual.mean())
    )
    assert metrics.NORMALISED_GINI.of(actual, forecast) > 0.5
    assert float_column(fitted.predict(here.slice(7, 1)), FORECAST)[0] == forecast[7]
    assert DeepZeroInflatedLogNormal().fit(known).predict(here).equals(fitted.predict(here))
    fitted.save(tmp_path)
    assert FittedDeep.load(tmp_path).predict(here).equals(fitted.predict(here))
