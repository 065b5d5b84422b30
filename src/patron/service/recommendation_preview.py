"""A list as staff look at it: for whom and where they like, and why a product is not in it."""

import re
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from patron.govern.privacy.consent_ledger import history, latest_answer
from patron.schema.errors import NotFound
from patron.service.live_recommendations import MESSAGE, LiveRecommendations
from patron.service.recommendation_answers import Recommendation, RecommendationQuery, RecommendationReason
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Snapshot

CUSTOMER_ID = re.compile("[0-9a-f]{3,32}")
"""Beginning of an opaque customer id that is long enough to search by."""
MAX_MATCHES = 8
"""Products to choose from where a text stands for several."""
NOT_IN_RUN = "not_in_run"
"""Why a product is not in a list that lists do not know: the last run did not know it."""


@dataclass(frozen=True)
class PreviewQuery:
    """Whose list, and where it stands."""

    scenario: str = "home"
    customer: str = ""
    """Opaque id of a customer, or its beginning; empty for a visitor of whom nothing is known."""
    product: str = ""
    """Id or name of the product of the page, or in the cart."""
    why_not: str = ""
    """Id or name of a product, to learn why it is not in the list."""


@dataclass(frozen=True)
class CustomerMatch:
    """The customer that a text stands for."""

    customer_id: str | None = None
    """None of an unknown customer, or where several ids begin like this."""
    is_ambiguous: bool = False
    may_be_contacted: bool | None = None
    """Whether they may be sent a list; None for scenarios other than messages."""


@dataclass(frozen=True)
class NamedProduct:
    """A product by id and name."""

    product_id: str
    product_name: str | None


@dataclass(frozen=True)
class ProductMatch:
    """The products that a text stands for: one, several to choose from, or none."""

    products: tuple[NamedProduct, ...]

    @property
    def only(self) -> NamedProduct | None:
        """The product, where it is one."""
        return self.products[0] if len(self.products) == 1 else None


@dataclass(frozen=True)
class PreviewedProduct:
    """One product of a list."""

    rank: int
    product_id: str
    product_name: str | None
    category: str | None
    price_cents: int | None
    click_probability: float
    reason: RecommendationReason


@dataclass(frozen=True)
class RecommendationPreview:
    """A list as it would be now, with no place explored."""

    run_id: str
    as_of: datetime
    query: PreviewQuery
    scenarios: tuple[str, ...]
    customer: CustomerMatch | None
    page_product: ProductMatch | None
    is_personal: bool
    """Whether the customer's history was used."""
    place_count: int
    """Products that a full list has."""
    products: tuple[PreviewedProduct, ...]
    why_short: dict[str, int]
    """Of a list that is not full: how many products each rule left out."""
    why_not_product: ProductMatch | None
    exclusion: str | None
    """Why this product is not in the list; None where it is, or where it is not one product."""


def preview_recommendations(
    live: LiveRecommendations, query: PreviewQuery, *, now: datetime, only: pa.Table | None = None
) -> RecommendationPreview:
    """One list, and why a product is not in it; `only` knows no other customers than these.

    Raises NoRunYet before the first run, BadRequest for a scenario that does not exist.
    """
    view = last_run(live.shop)
    customer = _customer(live, view, query, only) if query.customer else None
    page_product = _product(view, query.product) if query.product else None
    why_not_product = _product(view, query.why_not) if query.why_not else None
    list_query = RecommendationQuery(
        query.scenario,
        customer_id=customer.customer_id if customer else None,
        product_ids=[page_product.only.product_id] if page_product and page_product.only else [],
        is_preview=True,
    )
    recommendation = live.recommend(list_query, now=now)
    policy = live.shop.policy.recommendations
    return RecommendationPreview(
        view.run.run_id,
        view.run.as_of,
        query=query,
        scenarios=policy.scenario_names,
        customer=customer,
        page_product=page_product,
        is_personal=recommendation.is_personal,
        place_count=policy.of_scenario(query.scenario).count,
        products=_products(view, recommendation),
        why_short=dict(recommendation.why_short),
        why_not_product=why_not_product,
        exclusion=_exclusion(live, list_query, why_not_product, now=now),
    )


def _exclusion(
    live: LiveRecommendations, query: RecommendationQuery, match: ProductMatch | None, *, now: datetime
) -> str | None:
    if match is None or match.only is None:
        return None
    try:
        return live.why_not(query, match.only.product_id, now=now)
    except NotFound:
        return NOT_IN_RUN


def _customer(live: LiveRecommendations, view: Snapshot, query: PreviewQuery, only: pa.Table | None) -> CustomerMatch:
    """The customer of the last run whose id this is, or the only one whose id begins like this."""
    start = query.customer.strip().lower()
    if not CUSTOMER_ID.fullmatch(start):
        return CustomerMatch()
    is_visible = "" if only is None else " where customer_id in (select customer_id from visible)"
    sql = f"""
select customer_id from (
  select customer_id from customers where customer_id like '{start}%'
  union select customer_id from identities where customer_id like '{start}%') known{is_visible}
order by customer_id limit 2"""
    ids = view.query(sql, **({} if only is None else {"visible": only}))
    if ids.num_rows != 1:
        return CustomerMatch(is_ambiguous=ids.num_rows > 1)
    customer_id = ids["customer_id"][0].as_py()
    is_message = query.scenario == MESSAGE
    return CustomerMatch(customer_id, may_be_contacted=_may_contact(live, view, customer_id) if is_message else None)


def _may_contact(live: LiveRecommendations, view: Snapshot, customer_id: str) -> bool:
    """Whether the policy and the latest answer under any of the customer's user ids allow messages."""
    rows = view.query(f"select token from identities where customer_id = '{customer_id}' and is_user order by token")
    consent = live.shop.policy.consent
    entries = list(history(live.shop.store, rows["token"].to_pylist(), consent.names_of(consent.marketing)))
    return consent.allows(is_granted=latest_answer(entries))


def _product(view: Snapshot, text: str) -> ProductMatch:
    """The product with this id, else those with this name, else those whose names contain it."""
    rows = view.query(
        f"""
select product_id, product_name, distance from (
  select p.product_id, p.product_name, case when p.product_id = s.text then 0
    when lower(p.product_name) = lower(s.text) then 1
    when position(lower(s.text) in lower(p.product_name)) > 0 then 2 end as distance
  from products p cross join searched s) m
where distance is not null order by distance, length(product_name), product_id limit {MAX_MATCHES}""",
        searched=pa.table({"text": [text.strip()]}),
    ).to_pylist()
    nearest = [row for row in rows if row["distance"] == rows[0]["distance"]]
    return ProductMatch(tuple(NamedProduct(row["product_id"], row["product_name"]) for row in nearest))


def _products(view: Snapshot, recommendation: Recommendation) -> tuple[PreviewedProduct, ...]:
    listed = pa.array([product.product_id for product in recommendation.products], pa.string())
    rows = view.query(
        "select p.product_id, p.category from products p join listed l on l.product_id = p.product_id",
        listed=pa.table({"product_id": listed}),
    )
    categories = dict(zip(rows["product_id"].to_pylist(), rows["category"].to_pylist(), strict=True))
    return tuple(
        PreviewedProduct(
            product.position,
            product.product_id,
            product_name=product.product_name,
            category=categories.get(product.product_id),
            price_cents=product.price_cents,
            click_probability=product.click_probability,
            reason=product.reason,
        )
        for product in recommendation.products
    )
