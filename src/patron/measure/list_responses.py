"""What recommended products brought: how much each source of interest counts, and each product next to it."""

import json
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.govern.outreach.list_signatures import interests_of, is_ours
from patron.govern.vault import Vault
from patron.recommenders.live.click_model import SOURCES
from patron.recommenders.live.list_feedback import ListFeedback, learn_responses
from patron.schema.tables import LIST_SOURCES, PRODUCT_RESPONSES
from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import VAULT, StageView

HISTORY_DAYS = 180
"""How far back shown lists count, days."""


def measure_lists(view: StageView) -> None:
    """Write `list_sources` and `product_responses`; nothing before a list of ours was shown.

    Feedback about a list that we never made, or that says otherwise than we did, does not count.
    """
    shown = _shown_places(view)
    if not shown:
        view.write("list_sources", LIST_SOURCES.empty())
        view.write("product_responses", PRODUCT_RESPONSES.empty())
        return
    products = pa.array(sorted({one["product_id"] for one in shown}), pa.string())
    code = np.asarray(pc.index_in(pa.array([one["product_id"] for one in shown], pa.string()), products))
    feedback = ListFeedback(
        code.astype(np.int64),
        np.array([one["position"] for one in shown], dtype=np.int64),
        interests=np.array([one["interests"] for one in shown]),
        is_clicked=np.array([one["is_clicked"] for one in shown]),
        is_ordered=np.array([one["is_ordered"] for one in shown]),
    )
    weights, response = learn_responses(feedback, len(products))
    run_id = view.run.run_id
    sources = {
        "source": list(SOURCES),
        "weight": weights.weights,
        "clicks": response.source_clicks,
        "orders": response.source_orders,
    }
    view.write("list_sources", _table(LIST_SOURCES, run_id, sources))
    responses = {
        "product_id": products,
        "shown_count": np.bincount(code, minlength=len(products)),
        "clicks": response.clicks,
        "expected_clicks": response.expected_clicks,
        "orders": response.orders,
        "expected_orders": response.expected_orders,
    }
    view.write("product_responses", _table(PRODUCT_RESPONSES, run_id, responses))


def _table(table, run_id: str, columns: dict) -> pa.Table:  # noqa: ANN001
    count = len(next(iter(columns.values())))
    values = {"run_id": [run_id] * count, **columns}
    return pa.table({name: pa.array(values[name]) for name in table.schema().names}, schema=table.schema())


def _shown_places(view: StageView) -> list[dict]:
    """Places of our lists that were shown, each once, with what followed."""
    vault: Vault = view.capability(VAULT)
    as_of = timestamp(view.run.as_of)
    since = timestamp(view.run.as_of - timedelta(days=HISTORY_DAYS))
    rows = view.query(f"""
with places as (
  select name, product_id, decision_id, properties, occurred_at, coalesce(user_token, anonymous_token) as token
  from events
  where name in ('Recommendation Shown', 'Recommendation Clicked') and decision_id is not null
    and product_id is not null and properties is not null
    and known_at < {as_of} and occurred_at >= {since} and occurred_at < {as_of}
    and not coalesce(list_contains(flags, 'test'), false) and not coalesce(list_contains(flags, 'bot'), false)
    and not coalesce(list_contains(flags, 'no_consent'), false)
), people as (
  select token, customer_id from identities where shared_from is null
), ordered as (
  select distinct p.decision_id, p.product_id, p.properties
  from places p join people i on i.token = p.token
  join order_lines l on l.customer_id = i.customer_id and l.product_id = p.product_id
  where p.name = 'Recommendation Clicked' and not l.is_refund
    and seconds_of(l.ordered_at) >= seconds_of(p.occurred_at)
    and seconds_of(l.ordered_at) <= seconds_of(p.occurred_at) + 86400
)
select distinct p.decision_id, p.product_id, p.name, p.properties,
  case when o.decision_id is null then 0 else 1 end as orders
from places p left join ordered o
  on o.decision_id = p.decision_id and o.product_id = p.product_id and o.properties = p.properties
order by p.decision_id, p.product_id, p.name, p.properties""")
    shown: dict[str, dict] = {}
    for row in rows.to_pylist():
        properties = json.loads(row["properties"])
        product_id = vault.reveal_identifiers([row["product_id"]])[0]
        if not is_ours(vault, row["decision_id"], product_id, properties):
            continue
        place = shown.setdefault(
            row["decision_id"],
            {
                "product_id": row["product_id"],
                "position": max(int(properties["position"]), 1),
                "interests": interests_of(properties),
                "is_clicked": False,
                "is_ordered": False,
            },
        )
        if row["name"] == "Recommendation Clicked":
            place.update(is_clicked=True, is_ordered=place["is_ordered"] or bool(row["orders"]))
    return list(shown.values())
