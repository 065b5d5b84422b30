"""What lists of recommendations are made from, read from the tables of a run: the same at night and live."""

from collections.abc import Callable
from datetime import timedelta

import pyarrow as pa

from patron.storage.engine import timestamp
from patron.storage.offers.policy import Policy
from patron.storage.runs.runs import Run

BAD_STARS = 2
"""Stars of a review up to which its product is not recommended to its customer."""
IDENTIFIER_LENGTH = 34
POPULAR_DAYS = 28
"""Purchases within so many days make a product popular."""
Query = Callable[[str], pa.Table]

PRODUCTS = """
select product_id, seconds_of(known_at) / 86400.0 as known_day, category, brand, style_id, price_cents, cost_cents,
  stock, is_consumable, is_blocked, seconds_of(offer_starts_at) / 86400.0 as offer_starts_day,
  seconds_of(offer_ends_at) / 86400.0 as offer_ends_day
from this_recommendable_products"""


def list_tables(query: Query, run: Run, policy: Policy) -> dict[str, pa.Table]:
    """Tables `products`, `purchases`, `related`, `wanted`, `hidden`, `sources` and `responses`, as of the run."""
    return {
        "products": query(PRODUCTS),
        "purchases": query(_purchases(run, policy)),
        "related": query("select product_id, related_id, kind, strength from this_related_products"),
        "wanted": query("""
select customer_id, product_id, probability, days_since, usual_days, because_product_id from this_affinities
order by customer_id, "rank" """),
        "hidden": query(_hidden(run)),
        "sources": query("select source, weight, clicks, orders from this_list_sources"),
        "responses": query("""
select product_id, clicks, expected_clicks, orders, expected_orders from this_product_responses"""),
    }


def _hidden(run: Run) -> str:
    """What customers hid or gave two stars or fewer, newest first known by the run."""
    now = timestamp(run.as_of)
    return f"""
select customer_id, product_id, (seconds_of({now}) - max(seconds_of(occurred_at))) / 86400.0 as days
from interactions
where is_identified and product_id is not null and known_at < {now} and occurred_at < {now}
  and (kind = 'recommendation_hidden' or (kind = 'review' and rating <= {BAD_STARS}))
group by customer_id, product_id"""


def _purchases(run: Run, policy: Policy) -> str:
    """Purchases and returns, as far back as any rule of the policy looks."""
    rules = policy.recommendations
    lists = [rules.of_scenario(name) for name in rules.scenario_names]
    bought = max(POPULAR_DAYS, *(list_.bought_within_days for list_ in lists))
    returned = max(list_.returned_within_days for list_ in lists)
    now = timestamp(run.as_of)

    def since(days: float) -> str:
        return timestamp(run.as_of - timedelta(days=days))

    return f"""
select customer_id, product_id, is_refund as is_return,
  (seconds_of({now}) - seconds_of(case when is_refund then occurred_at else ordered_at end)) / 86400.0 as days
from order_lines
where product_id is not null and known_at < {now}
  and ((not is_refund and ordered_at >= {since(bought)} and ordered_at < {now})
    or (is_refund and occurred_at >= {since(returned)} and occurred_at < {now}))"""


def looks_personal(column: str) -> str:
    """SQL condition: an id is the token of one that looks like somebody's, such as one with a name in it."""
    return f"(substr({column}, 1, 2) = 'i_' and length({column}) = {IDENTIFIER_LENGTH})"
