"""Repeat purchase as readers of the last run see it."""

import json

import pytest

from patron.answers.models.repeat_purchase import repeat_purchase, repeat_purchase_model
from patron.clv import FittedParetoNBD
from patron.clv.diagnostics import frequency_recency
from patron.storage.runs.last_run import last_run


def test_the_shop_is_the_sum_of_its_customers(made_shop):
    view = last_run(made_shop)
    found = repeat_purchase(view)
    assert found is not None
    [each] = view.query("""
select count(*) as customers, sum(expected_orders_90_days) as orders from this_repeat_purchase""").to_pylist()
    assert found.customer_count == each["customers"] > 100
    assert found.expected_orders_90_days == pytest.approx(each["orders"])


def test_the_matrix_of_histories_is_drawn_from_the_models_own_parameters(made_shop):
    model = repeat_purchase_model(made_shop)
    assert model is not None
    fitted = FittedParetoNBD.from_dict(json.loads(model.model))
    assert frequency_recency(fitted, 90.0, T=float(model.history_days), most_frequency=12).num_rows > 100
