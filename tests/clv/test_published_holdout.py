"""CDNOW's published holdout of 39 weeks (Fader, Hardie and Lee 2005; Fader and Hardie 2013)."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from patron.clv import BetaGeo, GammaGamma, ModifiedBetaGeo, ParetoNBD, rfm
from patron.schema.models import metrics


def pearson(actual, forecast):
    return np.corrcoef(actual, forecast)[0, 1]


ORDERS = (metrics.mae, metrics.rmse, pearson, metrics.spearman, metrics.bias_share, metrics.normalised_gini)
SPEND = (metrics.mae, metrics.rmse, pearson, metrics.bias_share, metrics.normalised_gini, metrics.decile_mape)
OF_ORDERS = {
    BetaGeo: (0.819, 1.733, 0.669, 0.442, -0.143, 0.663),
    ModifiedBetaGeo: (0.795, 1.740, 0.670, 0.445, -0.191, 0.666),
    ParetoNBD: (0.794, 1.726, 0.671, 0.452, -0.129, 0.673),
}
OF_SPEND = {
    BetaGeo: (32.7, 92.9, 0.669, -0.173, 0.672, 0.213),
    ParetoNBD: (32.0, 92.9, 0.669, -0.158, 0.685, 0.370),
}
"""Gamma-Gamma without first orders, as the paper has it."""


@pytest.fixture(scope="module")
def summary(real_data):
    return rfm(
        pq.read_table(real_data("cdnow_master.parquet")), until="1997-09-30", holdout_until="1998-06-30", time="date"
    )


@pytest.mark.parametrize("model", OF_ORDERS)
def test_orders_of_the_holdout_are_forecast_as_published(summary, model):
    came, forecast = summary["frequency_holdout"].to_numpy(), model().fit(summary).expected_purchases(summary, 39)
    assert [float(metric(came, forecast)) for metric in ORDERS] == pytest.approx(OF_ORDERS[model], abs=1e-3)


@pytest.mark.parametrize("model", OF_SPEND)
def test_spend_of_the_holdout_is_forecast_as_published(summary, model):
    spent = summary["frequency_holdout"].to_numpy() * summary["monetary_value_holdout"].to_numpy()
    forecast = model().fit(summary).expected_purchases(summary, 39)
    forecast *= GammaGamma(first_order=False).fit(summary).expected_spend(summary)
    found = [float(metric(spent, forecast)) for metric in SPEND]
    assert found == pytest.approx(OF_SPEND[model], rel=2e-3, abs=2e-3)
