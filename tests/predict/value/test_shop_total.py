"""What the shop as a whole will take: moved by what history missed, with all doubt in the interval."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from patron.predict.origins import at, known_at_origin
from patron.predict.value.btyd_inputs import OrdersAndSpend
from patron.predict.value.shop_total import shop_total
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import float_column


@pytest.fixture(scope="module")
def origin(spend_rows):
    return max(spend_rows["as_of"].to_pylist())


@pytest.fixture(scope="module")
def known(spend_rows, origin):
    return known_at_origin(spend_rows, origin, 90)


@pytest.fixture(scope="module")
def history(spend_rows, origin):
    return OrdersAndSpend.fit(at(spend_rows, origin))


def labels_times(table, times):
    label = pa.array(table["label"].to_numpy(zero_copy_only=False) * times, from_pandas=True)
    return table.set_column(table.column_names.index("label"), "label", label)


def test_the_total_of_a_shop_that_behaves_as_its_models_assume_is_held(spend_rows, origin, known, history):
    came = float_column(at(spend_rows, origin), "label").sum()
    total = shop_total(known, history.forecast(at(spend_rows, origin)), history)
    assert total.low_cents < came < total.high_cents
    assert total.cents == pytest.approx(came, rel=0.15)
    assert total.low_cents < total.cents < total.high_cents


def test_what_history_missed_lately_moves_its_forecast_as_far_as_it_is_sure(known, history, spend_rows, origin):
    here = history.forecast(at(spend_rows, origin))
    usual, more = (shop_total(labels_times(known, times), here, history) for times in (1.0, 1.5))
    moved = more.methods["history"] / usual.methods["history"]
    assert 1.2 < moved < 1.5
    assert more.methods["models"] == usual.methods["models"]
    assert usual.cents < more.cents < 1.5 * usual.cents
    none = shop_total(labels_times(known, 0.0), here, history)
    assert none.methods["history"] == pytest.approx(here.sum()), "a closed shop tells nothing"


def test_a_shop_without_known_outcomes_has_a_wider_interval(spend_rows, origin, known, history):
    young = known_at_origin(spend_rows, min(spend_rows["as_of"].to_pylist()), 90)
    models = OrdersAndSpend.fit(young)
    wide = shop_total(young, models.forecast(young), models)
    sure = shop_total(known, history.forecast(at(spend_rows, origin)), history)
    assert wide.high_cents / wide.low_cents > sure.high_cents / sure.low_cents
    assert max(young["as_of"].to_pylist()) < origin - timedelta(days=90)


def test_methods_that_disagree_widen_the_interval(known, history, spend_rows, origin):
    here = history.forecast(at(spend_rows, origin))
    agreed, apart = (shop_total(known, here * times, history) for times in (1.0, 2.0))
    assert apart.high_cents / apart.low_cents > agreed.high_cents / agreed.low_cents
    assert np.isfinite([apart.cents, apart.low_cents, apart.high_cents]).all()
    assert shop_total(known, here * 0.0, history).methods.keys() == {"history"}


class NobodyComes(OrdersAndSpend):
    """Buying history in which all have left for good."""

    def forecast(self, table):
        return np.zeros(table.num_rows)


def test_a_shop_whose_customers_have_all_left_has_no_total(known, history):
    """Before, it was a division by zero."""
    left = NobodyComes(history.season, history.orders, history.spend)
    with pytest.raises(NotEnoughData, match="nobody is expected to buy"):
        shop_total(known, np.zeros(known.num_rows), left)
