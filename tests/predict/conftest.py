from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from patron.predict.feature_matrix import ORDER_PROBABILITY
from patron.schema.models.month_columns import ORDER_DAYS_BY_MONTH
from patron.schema.models.questions import PURCHASE, PURCHASE_7_DAYS

START = datetime(2020, 1, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=300)
CUTOFFS = [AS_OF - timedelta(days=30 * back) for back in range(9)]

FEATURES = """
select m.as_of, l.customer_id,
    cast(count(distinct l.day) as bigint) as order_day_count_lifetime,
    cast(count(*) as bigint) as order_count_lifetime,
    cast(max(l.day) - min(l.day) as double) as days_from_first_to_last_order,
    cast(m.day - min(l.day) as double) as days_since_first_order,
    cast(m.day - max(l.day) as double) as days_since_last_order,
    cast(sum(l.paid_cents) as bigint) as paid_cents_lifetime,
    cast(sum(case when l.day = l.first_day then l.paid_cents end) as bigint) as paid_cents_first_order_day,
    cast(sum(case when l.day >= m.day - 30 then l.paid_cents else 0 end) as bigint) as paid_cents_30_days,
    cast(sum(case when l.day >= m.day - 90 then l.paid_cents else 0 end) as bigint) as paid_cents_90_days,
    cast(sum(case when l.day >= m.day - 365 then l.paid_cents else 0 end) as bigint) as paid_cents_365_days,
    cast(sum(case when l.day >= m.day - 30 then 1 else 0 end) as bigint) as order_count_30_days,
    cast(sum(case when l.day >= m.day - 90 then 1 else 0 end) as bigint) as order_count_90_days,
    cast(sum(case when l.day >= m.day - 365 then 1 else 0 end) as bigint) as order_count_365_days,
    {months},
    case when m.day % 2 = 0 then 'web' else 'store' end as channel,
    case when min(l.day) % 4 = 0 then null when min(l.day) % 2 = 0 then 'ads' else 'search' end
        as declared_acquisition_channel,
    cast(case when min(l.day) % 3 = 0 then null else min(l.day) % 7 end as double) as sometimes_unknown
from cutoffs m join (select *, min(day) over (partition by customer_id) as first_day from lines) l on l.day < m.day
group by m.as_of, m.day, l.customer_id
order by m.as_of, l.customer_id
"""
FEATURES = FEATURES.replace(
    "{months}",
    ", ".join(
        f"cast(count(distinct case when month(date '2020-01-01' + cast(l.day as integer)) = {number} then l.day end)"
        f" as double) as {name}"
        for number, name in enumerate(ORDER_DAYS_BY_MONTH, start=1)
    )
    + ", cast(min(l.day * 16 + month(date '2020-01-01' + cast(l.day as integer))) % 16 as double) as first_order_month"
    + ", cast(hash(l.customer_id) % 1000000007 as bigint) as sample_key",
)
LABELS = """
select f.*,
    (select cast(coalesce(sum(l.paid_cents), 0) as double) from lines l
      where l.customer_id = f.customer_id and l.ordered_at >= f.as_of
      and l.ordered_at < f.as_of + interval {days} day) as label
from features f order by f.as_of, f.customer_id
"""


def simulated_lines(customers=600, seed=5, days=400):
    """Order lines of customers with a rate, a lifetime and a mean spend of their own."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.8, 1 / 25, customers)
    joined = rng.uniform(0, 200, customers)
    gone = joined + rng.exponential(250, customers)
    spend = rng.gamma(3, 1500, customers)
    rows = []
    for at in range(customers):
        time = joined[at]
        while time < min(gone[at], days):
            rows.append((f"c{at:04d}", int(time), max(1, int(rng.gamma(4, spend[at] / 4)))))
            time += max(rng.exponential(1 / max(rate[at], 1e-3)), 0.02)
    cutoffs = [START + timedelta(days=day) for _, day, _ in rows]
    return pa.table(
        {
            "customer_id": [customer for customer, _, _ in rows],
            "day": pa.array([day for _, day, _ in rows], pa.int64()),
            "ordered_at": pa.array(cutoffs, pa.timestamp("us", tz="UTC")),
            "paid_cents": pa.array([paid for _, _, paid in rows], pa.int64()),
        }
    )


def features_of(lines, cutoffs):
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.register("lines", lines)
    days = [(cutoff - START).days for cutoff in cutoffs]
    con.register("cutoffs", pa.table({"as_of": pa.array(cutoffs, pa.timestamp("us", tz="UTC")), "day": days}))
    return con.sql(FEATURES).to_arrow_table()


def labelled_features(lines, cutoffs, days=90):
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.register("lines", lines)
    con.register("features", features_of(lines, cutoffs))
    return con.sql(LABELS.format(days=days)).to_arrow_table()


@pytest.fixture(scope="session")
def lines():
    return simulated_lines()


@pytest.fixture(scope="session")
def spend_rows(lines):
    """Past cutoffs with the spend of the 90 days that followed, and a guess at the probability of an order."""
    rows = labelled_features(lines, CUTOFFS[3:])
    orders, silent = (rows[name].to_numpy() for name in ("order_count_90_days", "days_since_last_order"))
    return rows.append_column(ORDER_PROBABILITY, pa.array(1 - 0.95 * np.exp(-(0.2 + orders) * np.exp(-silent / 60))))


@pytest.fixture(scope="session")
def chance_rows(spend_rows):
    """The same with a 0/1 label: nothing was bought."""
    label = pa.array((spend_rows["label"].to_numpy() == 0).astype(float))
    return spend_rows.set_column(spend_rows.column_names.index("label"), "label", label)


@pytest.fixture(scope="session")
def purchase_rows(lines):
    """Past cutoffs with whether the days that followed brought an order, by the question's name."""
    found = {}
    for question in (PURCHASE, PURCHASE_7_DAYS):
        rows = labelled_features(lines, CUTOFFS[3:], days=question.horizon_days)
        label = pa.array((rows["label"].to_numpy() > 0).astype(float))
        found[question.name] = rows.set_column(rows.column_names.index("label"), "label", label)
    return found


@pytest.fixture(scope="session")
def features_maker():
    return features_of


@pytest.fixture(scope="session")
def past_cutoffs():
    return CUTOFFS


@pytest.fixture(scope="session")
def run_cutoff():
    return AS_OF
