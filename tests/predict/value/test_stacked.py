"""The stack: the largest customers, whom models that learn from capped labels leave out, and a total that adds up."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patron.estimators.learner import FORECAST
from patron.predict.origins import at, known_at_origin
from patron.predict.value.scaled_to_total import ScaledToTotal
from patron.predict.value.stacked import Excess, Stacked
from patron.predict.value.two_stage import TwoStage
from patron.schema.models.month_columns import FIRST_ORDER_MONTH, ORDER_DAYS_BY_MONTH
from patron.schema.numbers import float_column

NOW = datetime(2024, 6, 1, tzinfo=UTC)
WHOLESALERS = 20


def wholesale_shop(count=3000, seed=4):
    """A shop in which `WHOLESALERS` steady customers pay about fifty times what the others do, at four cutoffs."""
    rng = np.random.default_rng(seed)
    size = np.where(np.arange(count) < WHOLESALERS, 300_000 * np.exp(rng.normal(0, 0.7, count)), 6_000.0)
    rate = rng.gamma(1.0, 1.0, count) + np.where(np.arange(count) < WHOLESALERS, 3.0, 0.0)
    parts = []
    for back in range(4):
        days = 1 + rng.poisson(4 * rate)
        recent, later = (rng.poisson(rate) * size * rng.gamma(4, 1 / 4, count) for _ in range(2))
        age = rng.integers(100, 360, count).astype(float)
        parts.append(
            pa.table(
                {
                    "customer_id": [f"c{n}" for n in range(count)],
                    "as_of": [NOW - timedelta(days=90 * back)] * count,
                    "order_day_count_lifetime": days,
                    "days_from_first_to_last_order": np.where(days > 1, age * 0.9, 0.0),
                    "days_since_first_order": age,
                    "paid_cents_lifetime": days * size,
                    "paid_cents_90_days": recent,
                    "sample_key": np.arange(count),
                    **dict.fromkeys((*ORDER_DAYS_BY_MONTH, FIRST_ORDER_MONTH), np.ones(count)),
                    "label": later,
                }
            )
        )
    return pa.concat_tables(parts)


def test_the_largest_customers_are_worth_what_they_pay():
    """Before, they were forecast at little more than the cap, and the others too high, to make up for them."""
    rows = wholesale_shop()
    known, here = known_at_origin(rows, NOW, 90), at(rows, NOW)
    label, large = float_column(here, "label"), np.arange(here.num_rows) < WHOLESALERS
    forecast = float_column(Stacked().fit(known).predict(here), FORECAST)
    capped = float_column(TwoStage().fit(known).predict(here), FORECAST)
    assert capped[large].sum() < 0.6 * label[large].sum()
    assert forecast[large].sum() == pytest.approx(label[large].sum(), rel=0.3)
    assert forecast[~large].sum() == pytest.approx(label[~large].sum(), rel=0.1)


@given(
    st.lists(st.floats(0, 1e7), min_size=60, max_size=200),
    st.lists(st.floats(0, 1e7), min_size=60, max_size=60),
)
def test_no_more_is_put_back_than_was_cut_off(paid, history):
    label, history = np.array(paid[: len(history)]), np.array(history)
    excess = Excess.of(label, history, 0.9)
    cut_off = np.maximum(label - excess.cap_cents, 0.0).sum()
    put_back = np.maximum(history - excess.from_cents, 0.0).sum()
    assert put_back <= cut_off + 1e-6 * history.sum() + 1e-6
    if excess.from_cents > excess.cap_cents / 3:
        assert put_back == pytest.approx(cut_off, rel=1e-6, abs=1e-6 * history.sum() + 1e-6)


def test_customers_add_up_to_the_shop(spend_rows):
    origin = max(spend_rows["as_of"].to_pylist())
    known, here = known_at_origin(spend_rows, origin, 90), at(spend_rows, origin)
    fitted = ScaledToTotal(Stacked()).fit(known)
    forecast = float_column(fitted.predict(here), FORECAST)
    assert forecast.sum() == pytest.approx(fitted.total.cents, rel=1e-9)
    assert fitted.total.low_cents < float_column(here, "label").sum() < fitted.total.high_cents


def test_before_any_label_is_known_the_stack_is_its_members_that_need_none(spend_rows):
    """Before, one past cutoff without labels left the stack out altogether."""
    known = known_at_origin(spend_rows, min(spend_rows["as_of"].to_pylist()), 90)
    fitted = ScaledToTotal(Stacked()).fit(known)
    assert list(fitted.learner.members) == ["recent_blend"]
    assert float_column(fitted.predict(known), FORECAST).sum() == pytest.approx(fitted.total.cents, rel=1e-9)
    names, _ = fitted.contributions(known)
    assert names
