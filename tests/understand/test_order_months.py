"""Order days by month, and the month of the first: by the shop's clock, whatever the cutoff's hour."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from patron.predict.value.btyd_inputs import repeat_days_by_month, summary_of
from patron.schema.models.month_columns import FIRST_ORDER_MONTH, ORDER_DAYS_BY_MONTH
from patron.storage.duck_engine import DuckEngine
from patron.understand.features.feature_family import CUTOFFS, windows
from patron.understand.features.order_months import FAMILY

FIRST, SECOND = datetime(2024, 3, 1, 9, 30, tzinfo=UTC), datetime(2024, 4, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York"])
@pytest.mark.parametrize("hour", [0, 15])
def test_repeat_orders_by_month_are_as_many_as_repeat_orders(zone, hour):
    """Before, who first ordered on the 1st kept that order as a repeat in half of the time zones."""
    as_of = datetime(2024, 6, 1, hour, tzinfo=UTC)
    days = [at.astimezone(ZoneInfo(zone)).toordinal() - date(1970, 1, 1).toordinal() for at in (FIRST, SECOND)]
    orders = pa.table(
        {
            "customer_id": ["c"] * 2,
            "is_identified": [True] * 2,
            "occurred_at": pa.array([FIRST, SECOND], pa.timestamp("us", tz="UTC")),
            "known_at": pa.array([FIRST, SECOND], pa.timestamp("us", tz="UTC")),
            "local_day": days,
        }
    )
    cutoffs = windows([as_of], zone).append_column("customer_id", pa.array(["c"]))
    row = DuckEngine().query(FAMILY.sql(f"'{zone}'"), {CUTOFFS: cutoffs, "orders": orders})
    counts = {name: row[name][0].as_py() for name in ORDER_DAYS_BY_MONTH}
    assert (counts["order_day_count_march"], counts["order_day_count_april"], sum(counts.values())) == (1, 1, 2)
    assert row[FIRST_ORDER_MONTH][0].as_py() == 3
    features = {
        "order_day_count_lifetime": [2.0],
        "days_from_first_to_last_order": [40.0],
        "days_since_first_order": [(as_of - FIRST) / timedelta(days=1)],
        "paid_cents_lifetime": [100.0],
    }
    for name, values in features.items():
        row = row.append_column(name, pa.array(values))
    by_month = repeat_days_by_month(row)
    assert by_month.sum() == summary_of(row)["frequency"][0].as_py() == 1
    assert by_month[0, 3] == 1
