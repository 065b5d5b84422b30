"""Features of a customer just before a message is sent, and whether they responded: the rows that learners take."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import LABEL
from patron.predict.message_response.messages import SECONDS_A_DAY, messages_query
from patron.predict.sampling import FACTS, LARGEST_KEY, OF_CUSTOMERS, SAMPLE_KEY, sample_keys
from patron.schema.numbers import Numbers, float_column
from patron.schema.table_definition import TIME
from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView

MOST_ROWS = 12_000
"""Messages that are learned from and evaluated; of more, those of a sample of customers. It bounds time."""
PRIOR_MESSAGES = 2.0
"""How many messages without a response are added to a customer's share; larger shrinks more."""
FEATURE_VERSION = "1"
RECIPIENTS = """
    union all
    select customer_id, seconds_of(occurred_at) as second, 1 as amount
    from interactions where is_identified and kind in ('message_sent', 'offer') and known_at < {now}"""
LEARNED = """
select m.customer_id, k.sample_key, m.sent, m.until, m.campaign, m.channel, m.message_type,
    case when t.response = 'order' then m.ordered_known else m.clicked_known end is not null as is_response
from ({messages}) m
join recipients k on k.customer_id = m.customer_id
join types t on t.channel = m.channel and t.message_type = m.message_type
where m.until <= {now} and k.sample_key <= {largest}
order by m.sent, k.sample_key, m.campaign, m.channel, m.message_type"""
ORDERS_BEFORE = """
select p.place, p.second - max(o.happened) as since_last, count(o.happened) as order_count,
    count(case when o.has_coupon then 1 end) as coupon_count,
    coalesce(cast(sum(o.paid_cents) as bigint), 0) as paid_cents,
    count(case when o.happened >= p.second - {days_30} then 1 end) as order_count_30_days,
    count(case when o.happened >= p.second - {days_90} then 1 end) as order_count_90_days,
    coalesce(cast(sum(case when o.happened >= p.second - {days_90} then o.paid_cents end) as bigint), 0)
        as paid_cents_90_days
from pairs p left join (
    select customer_id, seconds_of(occurred_at) as happened, seconds_of(known_at) as known, paid_cents, has_coupon
    from orders where is_identified and known_at < {now}
) o on o.customer_id = p.customer_id and o.known < p.second
group by p.place, p.second order by p.place"""
TOUCHES_BEFORE = """
select p.place, count(case when i.kind = 'message_opened' then 1 end) as message_opened_count_lifetime,
    count(case when i.kind = 'message_clicked' then 1 end) as message_clicked_count_lifetime,
    count(case when i.kind = 'coupon' then 1 end) as coupon_count_lifetime
from pairs p left join (
    select customer_id, kind, seconds_of(known_at) as known from interactions
    where is_identified and kind in ('message_opened', 'message_clicked', 'coupon') and known_at < {now}
) i on i.customer_id = p.customer_id and i.known < p.second
group by p.place order by p.place"""
MESSAGES_BEFORE = """
select place, second - max(sent) as since_last, second - max(responded) as since_response,
    count(sent) as message_count, count(responded) as response_count,
    count(case when sent >= second - {days_90} then 1 end) as message_count_90_days,
    count(case when is_same then sent end) as same_type_message_count,
    count(case when is_same then responded end) as same_type_response_count
from (
    select p.place, p.second, m.sent, m.channel = p.channel and m.message_type = p.message_type as is_same,
        case when coalesce(m.responded, p.second) < p.second then m.responded end as responded
    from pairs p left join (
        select m.customer_id, m.channel, m.message_type, m.sent, m.known,
            case when t.response = 'order' then m.ordered_known else m.clicked_known end as responded
        from ({messages}) m join types t on t.channel = m.channel and t.message_type = m.message_type
    ) m on m.customer_id = p.customer_id and m.known < p.second
) m
group by place, second order by place"""
OF_CUSTOMER = ("customer_id", SAMPLE_KEY)


@dataclass(frozen=True)
class Recipients:
    """Identified customers with an order or a message: customer_id and sample_key, in the order of the keys."""

    customers: pa.Table

    def at(self, second: int, channel: str, message_type: str) -> pa.Table:
        """All of them, as if a message of this type were sent to each at a time."""
        count = self.customers.num_rows
        values = {"channel": channel, "message_type": message_type, "sent": second}
        same = {name: pa.repeat(value, count) for name, value in values.items()}
        return pa.table({name: self.customers[name] for name in OF_CUSTOMER} | same)


def read_recipients(view: StageView) -> Recipients:
    """Read whom messages can go to, with the keys by which samples are drawn."""
    now = timestamp(view.run.as_of)
    facts = view.query(FACTS.format(facts=(OF_CUSTOMERS + RECIPIENTS).format(now=now)))
    keys = sample_keys(facts, facts.select(["customer_id"]).slice(0, 0))
    return Recipients(keys.take(pa.array(np.argsort(keys[SAMPLE_KEY].to_numpy(), kind="stable"))))


def learning_rows(view: StageView, types: pa.Table, recipients: Recipients) -> pa.Table:
    """Messages whose time for a response is over, the earliest first, of a sample of customers in a large shop.

    Keys, `sent_at`, `until`, `campaign`, features as of just before the sending, and `label`.
    """
    count = int(sum(types["message_count"].to_pylist()))
    largest = int(min(1.0, MOST_ROWS / max(count, 1)) * LARGEST_KEY)
    sql = LEARNED.format(messages=messages_query(view), now=int(view.run.as_of.timestamp()), largest=largest)
    rows = view.query(sql, recipients=recipients.customers, types=types)
    features = {**customer_columns(view, rows), **message_columns(view, rows, types)}
    return pa.table(
        _keys(view, rows)
        | {
            "sent_at": _times(rows["sent"]),
            "until": _times(rows["until"]),
            "campaign": rows["campaign"].combine_chunks().dictionary_encode(),
            LABEL: rows["is_response"].cast(pa.int8()).cast(pa.float64()),
        }
        | {name: pa.array(values) for name, values in features.items()}
    )


def scoring_rows(view: StageView, rows: pa.Table, types: pa.Table, of_customer: dict[str, Numbers]) -> pa.Table:
    """The same features of `Recipients.at` the run, which `customer_columns` has those of each customer of."""
    features = of_customer | message_columns(view, rows, types)
    return pa.table(_keys(view, rows) | {name: pa.array(values) for name, values in features.items()})


def customer_columns(view: StageView, rows: pa.Table) -> dict[str, Numbers]:
    """What each customer had done before the sending, whatever is sent.

    Orders of all time are in shares only: their counts grow with the age of the shop, and what was learned from them
    early is wrong later (log loss .307 without them, .319 with them, of Complete Journey's campaigns of July to
    September).
    """
    orders = view.query(_before(view, ORDERS_BEFORE), pairs=_pairs(rows))
    touches = view.query(_before(view, TOUCHES_BEFORE), pairs=_pairs(rows))
    order_count = np.maximum(float_column(orders, "order_count"), 1.0)
    columns = {
        "days_since_last_order": _days(orders, "since_last"),
        "coupon_order_share": float_column(orders, "coupon_count") / order_count,
        "paid_cents_per_order": float_column(orders, "paid_cents") / order_count,
    }
    recent = ("order_count_30_days", "order_count_90_days", "paid_cents_90_days")
    columns |= {name: float_column(orders, name) for name in recent}
    return columns | {name: float_column(touches, name) for name in touches.column_names[1:]}


def message_columns(view: StageView, rows: pa.Table, types: pa.Table) -> dict[str, Numbers]:
    """What was sent to each customer before, and what came of it; `message_type` is that of the message to be sent."""
    before = _before(view, MESSAGES_BEFORE, messages=messages_query(view))
    sent = view.query(before, pairs=_pairs(rows), types=types)
    columns = {name: float_column(sent, name) for name in sent.column_names[3:]}
    days = {"days_since_last_message": _days(sent, "since_last"), "days_since_response": _days(sent, "since_response")}
    columns["response_share"] = columns["response_count"] / (columns["message_count"] + PRIOR_MESSAGES)
    same = columns["same_type_message_count"] + PRIOR_MESSAGES
    columns["same_type_response_share"] = columns["same_type_response_count"] / same
    kind = pc.binary_join_element_wise(rows["channel"], rows["message_type"], "/").to_numpy(zero_copy_only=False)
    return columns | days | {"message_kind": kind}


def _before(view: StageView, sql: str, **parts: str) -> str:
    days = {f"days_{days}": days * SECONDS_A_DAY for days in (30, 90)}
    return sql.format(now=timestamp(view.run.as_of), **days, **parts)


def _pairs(rows: pa.Table) -> pa.Table:
    """Customers and times, numbered: `place` is the position of the row."""
    places = pa.array(np.arange(rows.num_rows))
    named = {name: rows[name] for name in ("customer_id", "channel", "message_type")}
    return pa.table({"place": places, "second": rows["sent"], **named})


def _keys(view: StageView, rows: pa.Table) -> dict[str, pa.ChunkedArray | pa.Array]:
    count = rows.num_rows
    same = {
        "as_of": pa.repeat(pa.scalar(view.run.as_of, TIME), count),
        "feature_version": pa.repeat(FEATURE_VERSION, count),
    }
    return {name: rows[name] for name in OF_CUSTOMER} | same


def _days(rows: pa.Table, name: str) -> Numbers:
    return float_column(rows, name, np.nan) / SECONDS_A_DAY


def _times(seconds: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.multiply(seconds, 1_000_000).cast(pa.int64()).cast(TIME)
