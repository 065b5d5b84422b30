"""Contracts that end in the 30 days after a cutoff, what was known of them and of their customer, what became of them.

Cutoffs are those of `features`, as far apart as the 30 days are long: each end is in the rows of one cutoff.
"""

import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import LABEL
from patron.predict.sampling import FACTS, MAX_KEY, OF_CUSTOMERS, SAMPLE_KEY, sample_keys
from patron.schema.models.questions import CONTRACT_CHURN
from patron.schema.table_definition import TIME
from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView

SECONDS_A_DAY = 86_400
MAX_ROWS = 20_000
"""Terms that are learned from and evaluated; of more, those of a sample of customers. It bounds time."""
FEATURE_VERSION = "1"
OF_CUSTOMER = (
    "days_since_last_order",
    "days_since_first_order",
    "order_count_90_days",
    "paid_cents_90_days",
    "active_day_count_30_days",
)
"""Features of the customer that a learner sees; NULL without an order."""
HOLDERS = """
    union all
    select customer_id, seconds_of(started_at) as second, coalesce(price_cents, 0) as amount
    from contracts where known_at < {now}"""
ENDING = """
select c.as_of, t.customer_id, t.contract_id, max(t.ends_at) as ends_at, count(*) as term_count,
    min(seconds_of(t.started_at)) as first_second
from cutoffs_of_run c join contracts t on t.known_at < c.as_of
group by c.as_of, t.customer_id, t.contract_id
having max(t.ends_at) >= c.as_of and max(seconds_of(t.ends_at)) < seconds_of(c.as_of) + {window}"""
RENEWED = """
select e.as_of, e.customer_id, e.contract_id from ({ending}) e
join contracts n on n.customer_id = e.customer_id and n.contract_id = e.contract_id and n.ends_at > e.ends_at
    and seconds_of(n.known_at) < seconds_of(e.ends_at) + {grace}
group by e.as_of, e.customer_id, e.contract_id"""
ROWS = """
select e.customer_id, e.as_of, e.contract_id, e.ends_at, e.term_count, k.sample_key,
    (seconds_of(e.ends_at) - seconds_of(e.as_of)) / {day} as days_until_end,
    (seconds_of(e.ends_at) - seconds_of(l.started_at)) / {day} as term_days,
    (seconds_of(e.as_of) - e.first_second) / {day} as days_since_first_term, l.price_cents,
    case when l.cancellation_known_at < e.as_of then 1 else 0 end as is_cancelled, {features},
    case when r.customer_id is null then 1.0 else 0.0 end as is_lost
from ({ending}) e
join contracts l on l.customer_id = e.customer_id and l.contract_id = e.contract_id and l.ends_at = e.ends_at
join keys k on k.customer_id = e.customer_id
left join ({renewed}) r on r.as_of = e.as_of and r.customer_id = e.customer_id and r.contract_id = e.contract_id
left join this_features f on f.customer_id = e.customer_id and f.as_of = e.as_of
order by e.as_of, k.sample_key, e.ends_at, e.term_count, e.contract_id"""


def contract_rows(view: StageView) -> pa.Table:
    """Contracts that end in the 30 days after each cutoff of the run: keys, `ends_at`, features and `label`.

    The label is NULL where the days of grace are not over. An id of a contract is a dictionary, and so no feature.
    """
    now, run_id = view.run.as_of, view.run.run_id
    ending = ENDING.format(window=CONTRACT_CHURN.ends_within_days * SECONDS_A_DAY)
    sql = ROWS.format(
        ending=ending,
        renewed=RENEWED.format(ending=ending, grace=CONTRACT_CHURN.grace_days * SECONDS_A_DAY),
        features=", ".join(f"f.{name}" for name in OF_CUSTOMER),
        day=f"{SECONDS_A_DAY}.0",
        run_id=run_id,
    )
    cutoffs = view.query("select distinct as_of from this_features order by as_of")
    facts = view.query(FACTS.format(facts=(OF_CUSTOMERS + HOLDERS).format(now=timestamp(now))))
    keys = sample_keys(facts, facts.select(["customer_id"]).slice(0, 0))
    rows = view.query(sql, cutoffs_of_run=cutoffs, keys=keys)
    is_over = pc.less_equal(_after_grace(rows), pa.scalar(now, TIME))
    count = rows.num_rows
    more = {
        "contract_id": rows["contract_id"].combine_chunks().dictionary_encode(),
        LABEL: pc.if_else(is_over, rows["is_lost"].cast(pa.float64()), pa.scalar(None, pa.float64())),
        "feature_version": pa.repeat(FEATURE_VERSION, count),
    }
    return pa.table({name: rows[name] for name in rows.column_names if name != "is_lost"} | more)


def learning_rows(rows: pa.Table) -> pa.Table:
    """Rows whose label is known, the earliest cutoff first; of a large shop those of a sample of customers."""
    known = rows.filter(pc.is_valid(rows[LABEL]))
    largest = int(min(1.0, MAX_ROWS / max(known.num_rows, 1)) * MAX_KEY)
    return known.filter(pc.less_equal(known[SAMPLE_KEY], largest))


def _after_grace(rows: pa.Table) -> pa.ChunkedArray:
    """When the label of each row is known."""
    days = CONTRACT_CHURN.grace_days * SECONDS_A_DAY * 1_000_000
    return pc.add(rows["ends_at"].cast(TIME), pa.scalar(days, pa.duration("us")))
