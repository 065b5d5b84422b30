"""Rows of customers of whom some buy, as models of value learn from them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from patron.predict.feature_matrix import ORDER_PROBABILITY
from patron.schema.models.month_columns import FIRST_ORDER_MONTH, ORDER_DAYS_BY_MONTH

NOW = datetime(2024, 6, 1, tzinfo=UTC)
MONTHS = (*ORDER_DAYS_BY_MONTH, FIRST_ORDER_MONTH)


def few_buy(share, count=6000, seed=1):
    """Customers of whom this share buy in the next 90 days, with log-normal spend: those of now, and what came."""
    rng = np.random.default_rng(seed)
    days, age = rng.integers(1, 6, count), rng.integers(100, 300, count).astype(float)
    label = np.where(rng.random(count) < share, np.exp(rng.normal(8.0, 0.7, count)), 0.0)
    columns = {
        "customer_id": [f"c{n}" for n in range(count)],
        "order_day_count_lifetime": days,
        "days_from_first_to_last_order": np.where(days > 1, age * rng.random(count), 0.0),
        "days_since_first_order": age,
        "paid_cents_lifetime": days * 3000,
        "paid_cents_90_days": rng.integers(0, 2, count) * 3000,
        "something": rng.normal(size=count),
        ORDER_PROBABILITY: np.full(count, share),
        **dict.fromkeys(MONTHS, np.ones(count)),
    }
    past = pa.table({**columns, "as_of": [NOW - timedelta(days=90)] * count, "label": label})
    now = pa.table({**columns, "as_of": [NOW] * count, "label": pa.nulls(count, pa.float64())})
    return pa.concat_tables([past, now]), now, label
