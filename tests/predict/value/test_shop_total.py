"""What the shop as a whole will take: from what it took before, with a season it may not have seen."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from patron.predict.value.shop_total import shop_total

SPRING = datetime(2024, 4, 1, tzinfo=UTC)
CUSTOMERS = 200


def shop(now, *, months=6, growth=1.0, days_since_first=400.0, season=None):
    """A shop whose customers each paid 100.00 in the 90 days before the newest cutoff, `growth` times those before.

    `season` is a factor for 90 days by how many days ago they began.
    """
    rows = []
    for back in range(months):
        cutoff = now - timedelta(days=30 * back)
        level = 10_000 * growth ** (-back / 3)
        label = None if back < 3 else level * growth * (season or {}).get(30 * back, 1.0)
        rows += [
            {
                "customer_id": f"c{n}",
                "as_of": cutoff,
                "days_since_first_order": days_since_first,
                "paid_cents_90_days": level,
                "label": label,
            }
            for n in range(CUSTOMERS)
        ]
    return pa.Table.from_pylist(rows)


def test_a_steady_shop_goes_on_as_it_was_with_a_share_of_the_usual_season():
    now = SPRING
    total = shop_total(shop(now), np.full(CUSTOMERS, 10_000.0))
    assert total.cents / total.season == pytest.approx(2_000_000, rel=0.05)
    assert total.low_cents < total.cents < total.high_cents
    assert not total.is_season_observed
    assert shop_total(shop(datetime(2024, 10, 1, tzinfo=UTC)), np.full(CUSTOMERS, 10_000.0)).season > 1.05
    assert shop_total(shop(datetime(2024, 1, 5, tzinfo=UTC)), np.full(CUSTOMERS, 10_000.0)).season < 0.97


def test_growth_of_established_customers_is_carried_on():
    total = shop_total(shop(SPRING, growth=1.3), np.full(CUSTOMERS, 10_000.0))
    assert total.methods["change"] == pytest.approx(2_000_000 * 1.3, rel=0.05)
    assert total.methods["models"] == 2_000_000
    assert total.cents > 2_000_000 * 1.1


def test_a_shop_without_established_customers_relies_on_its_models_and_is_less_sure():
    young = shop_total(shop(SPRING, days_since_first=40.0), np.full(CUSTOMERS, 10_000.0))
    old = shop_total(shop(SPRING), np.full(CUSTOMERS, 10_000.0))
    assert set(young.methods) == {"models"}
    assert young.high_cents / young.low_cents > old.high_cents / old.low_cents


def test_the_season_of_a_year_ago_is_the_shops_own():
    a_year = shop(SPRING, months=13, season={360: 1.8})
    total = shop_total(a_year, np.full(CUSTOMERS, 10_000.0))
    assert total.is_season_observed
    customer_season, assumed = 1.8 / 1.8 ** (1 / 10), shop_total(shop(SPRING), np.full(CUSTOMERS, 10_000.0)).season
    assert total.season == pytest.approx((customer_season * assumed) ** 0.5, rel=0.01)
    unseen = shop_total(shop(SPRING, months=6), np.full(CUSTOMERS, 10_000.0))
    assert unseen.season == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("months", [{90: 0.0}, {90: 0.0, 120: 0.0, 150: 0.0}, {360: 0.0}, {360: -1.0}])
def test_months_without_sales_do_not_blow_up_the_total(months):
    total = shop_total(shop(SPRING, months=13, season=months), np.full(CUSTOMERS, 10_000.0))
    assert 1_000_000 < total.low_cents < total.cents < total.high_cents < 4_000_000


def test_customers_who_returned_more_than_they_bought_leave_the_other_methods():
    table = shop(SPRING)
    paid = pa.array(np.where(np.arange(table.num_rows) < CUSTOMERS, -500.0, table["paid_cents_90_days"].to_numpy()))
    table = table.set_column(table.column_names.index("paid_cents_90_days"), "paid_cents_90_days", paid)
    total = shop_total(table, np.full(CUSTOMERS, 10_000.0))
    assert set(total.methods) == {"models", "each"}
    assert total.cents == pytest.approx(2_000_000, rel=0.1)
