"""A shop whose last order was long ago can still be finished."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from patron.collect.loader import load_events
from patron.run import run_loop

LAST = datetime(2024, 2, 27, tzinfo=UTC)


def test_a_run_years_after_the_last_order_ends_and_expects_little(shop):
    rng = np.random.default_rng(1)
    rows = [
        {
            "event_id": f"e{n}",
            "name": "Order Completed",
            "occurred_at": LAST - timedelta(days=float(rng.uniform(0, 300))),
            "user_id": f"u{n % 60}",
            "order_id": f"o{n}",
            "revenue_cents": int(rng.integers(500, 9_000)),
        }
        for n in range(240)
    ]
    load_events(shop, pa.Table.from_pylist(rows), source="shop", known="occurred", received_at=LAST)
    finished = run_loop(shop, datetime(2026, 11, 24, tzinfo=UTC))
    assert finished.customer_count == 60
    view = shop.snapshot()
    (total,) = view.query("select sum(value) as cents from scores where question = 'value'")["cents"].to_pylist()
    assert total < 60 * 9_000
