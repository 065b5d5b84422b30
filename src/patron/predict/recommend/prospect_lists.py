"""Products for people who have not ordered yet: what customers who came by their channel and campaign buy.

Shrunk to what everybody buys, so that a channel whose customers do not differ has everybody's list.
"""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.predict.recommend.codes import Codes, encoded, numbers_of
from patron.recommenders.popularity.group_popularity import GroupPopularity
from patron.schema.numbers import Numbers
from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView

POPULAR_DAYS = 28
"""Purchases within so many days count."""
DECLARED = "declared_acquisition_channel"
COUNT = 30
"""Products per person."""


def prospect_lists(view: StageView, history: pa.Table) -> pa.Table:
    """Products for the prospects of the run, with the columns of `FittedLists.predict`.

    `history` has all purchases: customer_id, product_id, days_before.
    """
    run = view.run
    prospects = view.query(f"""
select distinct customer_id from this_prospect_features
where as_of = {timestamp(run.as_of)} order by customer_id""")
    recent = history.filter(pc.less_equal(history["days_before"], float(POPULAR_DAYS)))
    customers, products = encoded(recent["customer_id"]), encoded(recent["product_id"])
    people = pa.concat_arrays([customers.dictionary, prospects["customer_id"].combine_chunks()])
    levels = _first_touches(view, people, run.as_of)
    customer, item = (np.asarray(column.indices, dtype=np.int64) for column in (customers, products))
    popularity = GroupPopularity.fit(customer, item, [level[customer] for level in levels], len(products.dictionary))
    pairs_per_customer = popularity.everybody.sum() / max(len(customers.dictionary), 1)
    paths, path_of = np.unique(np.column_stack(levels)[len(customers.dictionary) :], axis=0, return_inverse=True)
    best = [_best(popularity.shares(_known_part(path))) for path in paths.tolist()]
    return _rows(prospects["customer_id"], products.dictionary, [best[at] for at in path_of], pairs_per_customer)


def _first_touches(view: StageView, people: pa.Array, as_of: datetime) -> list[Codes]:
    """Numbers of each person's acquisition channel, and of the campaign that their first event names; -1 without.

    The channel is what the shop declares, else that of the first event.
    """
    touches = view.query(
        f"""
select c.customer_id, coalesce(max(d.channel), c.acquisition_channel) as channel, min(i.campaign_id) as campaign
from customers c left join declared d on d.customer_id = c.customer_id
left join interactions i on i.customer_id = c.customer_id and i.occurred_at = c.first_event_at
  and i.known_at < {timestamp(as_of)}
group by c.customer_id, c.acquisition_channel order by c.customer_id""",
        declared=_declared_channels(view),
    )
    place = numbers_of(people, touches["customer_id"].combine_chunks())
    columns = (encoded(touches[name]).indices.fill_null(-1) for name in ("channel", "campaign"))
    return [np.append(np.asarray(column, dtype=np.int64), -1)[place] for column in columns]


def _declared_channels(view: StageView) -> pa.Table:
    """Columns customer_id and channel; no rows where policy.toml calls the trait sensitive: it is no feature then."""
    run = view.run
    parts = [
        view.query(f"""
select customer_id, {DECLARED} as channel from {name}
where run_id = '{run.run_id}' and as_of = {timestamp(run.as_of)} and {DECLARED} is not null""")
        for name in ("features", "prospect_features")
        if DECLARED in view.query(f"select * from {name} limit 0").column_names
    ]
    nobody = pa.schema([("customer_id", pa.string()), ("channel", pa.string())]).empty_table()
    return pa.concat_tables([nobody, *(part.cast(nobody.schema) for part in parts)])


def _known_part(path: list[int]) -> list[int]:
    return path[: path.index(-1)] if -1 in path else path


def _best(shares: Numbers) -> tuple[Codes, Numbers]:
    """The products with the largest shares."""
    best = np.argsort(-shares, kind="stable")[:COUNT]
    return best, shares[best]


def _rows(people: pa.ChunkedArray, products: pa.Array, lists: list[tuple[Codes, Numbers]], pairs: float) -> pa.Table:
    """Rows of lists; of `pairs` of a customer and a product each product has its share."""
    lengths = [len(items) for items, _ in lists]
    shares = np.concatenate([np.empty(0), *(one for _, one in lists)])
    count = len(shares)
    unknown = pa.nulls(count, pa.float64())
    return pa.table(
        {
            "customer_id": people.take(pa.array(np.repeat(np.arange(len(lists)), lengths))),
            "rank": pa.array(
                np.concatenate([np.empty(0, np.int64), *(np.arange(1, length + 1) for length in lengths)])
            ),
            "product_id": products.take(pa.array(np.concatenate([np.empty(0, np.int64), *(one for one, _ in lists)]))),
            "score": pa.array(shares),
            "probability": pa.array(np.minimum(pairs * shares, 1.0)),
            "reason": pa.array(["popular"] * count, pa.string()),
            "days_since": unknown,
            "usual_days": unknown,
        }
    )
