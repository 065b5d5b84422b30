"""The list of each customer for messages: predict's candidates by the rules of policy.toml, with reasons."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from patron.recommenders.live.index_tables import IndexTables, build_index, learned_model
from patron.recommenders.live.list_maker import ListMaker, ListRequest, ProductList
from patron.recommenders.live.recommendation_index import RecommendationIndex
from patron.recommenders.live.scenarios import Scenario
from patron.schema.table_definition import TIME
from patron.schema.tables import RECOMMENDATIONS
from patron.storage.engine import sql_list, timestamp
from patron.storage.offers.policy import PROFILING
from patron.storage.recommendations.recommendation_tables import POPULAR_DAYS, list_tables, looks_personal
from patron.storage.runs.stage_view import StageView

MESSAGE = "message"
"""Scenario of the lists that a run makes."""
CONSUMABLE_FROM = 0.15
"""Share of repeat purchases from which a product is one that is used up, where the catalogue does not say it."""
PRIOR_PURCHASES = 20
"""Purchases that a category's share of repeats counts as for each of its products, and the shop's for a category."""


def write_recommendations(view: StageView) -> None:
    """Write `recommendable_products`, then `recommendations`: none to customers whom rules leave nothing."""
    view.write_query("recommendable_products", recommendable_products(view))
    run, policy = view.run, view.policy.recommendations
    tables = IndexTables(**list_tables(view.query, run, view.policy))
    margin_share = view.settings.shop.margin_share
    index = build_index(tables, at_day=run.as_of.timestamp() / 86_400, margin_share=margin_share)
    settings = policy.of_scenario(MESSAGE).model_dump()
    scenario = Scenario.of(MESSAGE, policy.blocked, settings)
    maker = ListMaker(index, *learned_model(tables, index.facts.products))
    rng = np.random.default_rng(run.child_seed("recommendations"))
    objecting = set(_objecting(view))
    customers = [place for place, one in enumerate(index.customers.ids.to_pylist()) if one not in objecting]
    made = {customer: maker.make(ListRequest(scenario, index.at_day, customer), rng) for customer in customers}
    view.write("recommendations", _rows(view, index, made))


def _objecting(view: StageView) -> list[str]:
    """Customers whose latest answer to profiling is no: nothing is made of their history."""
    names = sql_list(view.policy.consent.names_of(PROFILING))
    sql = f"select distinct customer_id from consents where is_latest and not is_granted and lower(purpose) in {names}"
    return view.query(sql)["customer_id"].to_pylist()


def recommendable_products(view: StageView) -> str:
    """SQL for every product that lists may show, with what rules ask of it.

    An offer is a promotion that takes something off the price: a leaflet or display alone is none.
    """
    run, now = view.run, timestamp(view.run.as_of)
    recent = timestamp(run.as_of - timedelta(days=POPULAR_DAYS))
    blocked = sql_list(view.policy.recommendations.blocked)
    is_blocked = f"p.product_id in {blocked}" if view.policy.recommendations.blocked else "false"
    share = f"(x.repeats + {PRIOR_PURCHASES} * {{prior}}) / (x.purchases + {PRIOR_PURCHASES})"
    return f"""
with days as (
  select distinct product_id, customer_id, cast(floor(seconds_of(ordered_at) / 86400.0) as bigint) as day
  from order_lines
  where is_identified and not is_refund and product_id is not null and known_at < {now} and ordered_at < {now}
), pairs as (
  select product_id, customer_id, count(*) as n from days group by product_id, customer_id
), bought as (
  select product_id, cast(sum(n) as bigint) as purchases, cast(sum(n - 1) as bigint) as repeats, count(*) as customers
  from pairs group by product_id
), recent as (
  select product_id, count(*) as n from order_lines
  where not is_refund and known_at < {now} and ordered_at >= {recent} and ordered_at < {now} group by product_id
), known as (
  select p.*, coalesce(b.purchases, 0) as purchases, coalesce(b.repeats, 0) as repeats,
    coalesce(b.customers, 0) as customers
  from products p left join bought b on b.product_id = p.product_id where p.product_id is not null
), shop as (
  select cast(coalesce(sum(repeats), 0) as double) / nullif(sum(purchases), 0) as share from known
), categories as (
  select x.category, {share.format(prior="coalesce(max(s.share), 0)")} as share
  from (
    select category, cast(sum(repeats) as double) as repeats, sum(purchases) as purchases from known group by category
  ) x cross join shop s group by x.category, x.repeats, x.purchases
), offers as (
  select product_id, starts_at, ends_at,
    row_number() over (partition by product_id order by starts_at, ends_at, promotion_id) as place
  from promotions
  where known_at < {now} and (superseded_at is null or superseded_at >= {now}) and ends_at > {now}
    and ends_at > starts_at and discount_share > 0
), shares as (
  select x.*, {share.format(prior="coalesce(c.share, 0)")} as share
  from known x left join categories c on (c.category = x.category or (c.category is null and x.category is null))
)
select '{run.run_id}' as run_id, p.product_id, p.category, p.brand, p.style_id, p.price_cents, p.cost_cents, p.stock,
  coalesce(p.is_blocked, false) or {is_blocked} or (p.customers < 2 and {looks_personal("p.product_id")}) as is_blocked,
  coalesce(p.is_consumable, p.share >= {CONSUMABLE_FROM}) as is_consumable, p.share as repeat_share,
  coalesce(r.n, 0) as order_line_count, p.known_at,
  o.starts_at as offer_starts_at, o.ends_at as offer_ends_at
from shares p left join recent r on r.product_id = p.product_id
left join offers o on o.product_id = p.product_id and o.place = 1"""


def _rows(view: StageView, index: RecommendationIndex, lists: Mapping[int, ProductList]) -> pa.Table:
    """Rows of `recommendations`."""
    listed = [
        (customer, rank, one)
        for customer, product_list in lists.items()
        for rank, one in enumerate(product_list.products, start=1)
    ]
    causes = np.array([one.reason.product for _, _, one in listed], dtype=np.int64)
    products = index.facts.products
    count = len(listed)
    return pa.table(
        {
            "run_id": pa.array([view.run.run_id] * count, pa.string()),
            "customer_id": index.customers.ids.take(pa.array([customer for customer, _, _ in listed], pa.int64())),
            "as_of": pa.array([view.run.as_of] * count, RECOMMENDATIONS.schema().field("as_of").type),
            "rank": pa.array([rank for _, rank, _ in listed], pa.int64()),
            "product_id": products.take(pa.array([one.product for _, _, one in listed], pa.int64())),
            "reason": pa.array([one.reason.code for _, _, one in listed], pa.string()),
            "because_product_id": products.take(pa.array(causes, pa.int64(), mask=causes < 0)),
            "days_since": pa.array([one.reason.days_since for _, _, one in listed], pa.float64()),
            "usual_days": pa.array([one.reason.usual_days for _, _, one in listed], pa.float64()),
            "offer_starts_at": pa.array([_time(one.reason.offer_starts_day) for _, _, one in listed], TIME),
            "offer_ends_at": pa.array([_time(one.reason.offer_ends_day) for _, _, one in listed], TIME),
            "click_probability": pa.array([one.click_probability for _, _, one in listed], pa.float64()),
            "buy_probability": pa.array([one.buy_probability for _, _, one in listed], pa.float64()),
        },
        schema=RECOMMENDATIONS.schema(),
    )


def _time(day: float | None) -> datetime | None:
    return None if day is None else datetime.fromtimestamp(round(day * 86_400), UTC)
