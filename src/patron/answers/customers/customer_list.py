"""The customer list: every scored customer in one row, searched, filtered, sorted and paged."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa

from patron.answers.customers.customer_index import CODES, CustomerIndex, FilterOption, customer_index, microseconds
from patron.answers.customers.customer_marks import customers_of_owner, customers_with_tag
from patron.schema.common_sentences import CURSOR_NONE, IT_IS_ONE_OF, NOT_A_VALUE
from patron.schema.errors import BadQuery
from patron.schema.sentences import Sentence
from patron.schema.spelling import both, did_you_mean
from patron.schema.tables import LIFECYCLE_STAGES
from patron.segments.segment_rules import Answer
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop, Snapshot

CURSOR_WRONG = Sentence("cursor_wrong", "is not of this list")

Sort = Literal[
    "value",
    "churn_probability",
    "purchase_probability",
    "value_at_risk",
    "paid",
    "orders",
    "first_order",
    "last_order",
    "stage",
    "persona",
    "channel",
    "country",
    "consent",
    "action",
]
SORTS: tuple[Sort, ...] = get_args(Sort)
Direction = Literal["descending", "ascending"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
PAGE_SIZE = 25
NOBODY = "nobody"
"""Instead of an owner: customers whom nobody looks after."""
COLUMNS: dict[str, str] = {
    "value": "value_cents",
    "churn_probability": "churn_probability",
    "purchase_probability": "purchase_probability",
    "value_at_risk": "value_at_risk_cents",
    "paid": "paid_cents",
    "orders": "order_count",
    "first_order": "first_order_at",
    "last_order": "last_order_at",
    "stage": "lifecycle_stage",
    "persona": "persona_id",
    "channel": "channel",
    "country": "country",
    "consent": "consent",
    "action": "action",
}
"""Column of the index by what the list is sorted by."""


class Range(NamedTuple):
    """From low to high, both included; None is open."""

    low: float | None = None
    high: float | None = None


class Period(NamedTuple):
    """From a time until before another; None is open."""

    start: datetime | None = None
    end: datetime | None = None


ANY, EVER = Range(), Period()


@dataclass(frozen=True)
class CustomerQuery:
    """Search, filters, sorting and page of the list; empty fields do not filter."""

    search: str = ""
    """Beginning of an opaque customer id."""
    lifecycle_stage: str = ""
    persona_id: int | None = None
    action: str = ""
    """Id of an offer decided on, or 'none'."""
    sort: Sort = "value"
    page: int = 1
    direction: Direction = "descending"
    """Of the sorting; who has no value stands last either way."""
    channel: str = ""
    """Acquisition channel."""
    country: str = ""
    """As the customer's trait has it."""
    consent: Answer | Literal[""] = ""
    """Last answer about marketing."""
    category: str = ""
    """A category that they bought."""
    product: str = ""
    """A product that they bought: its number or name."""
    tag: str = ""
    owner: str = ""
    """User id of who looks after them, or `nobody`."""
    is_at_risk: bool = False
    """Whether only who is on the watch list: at risk, with value to lose."""
    value_cents: Range = ANY
    churn_probability: Range = ANY
    purchase_probability: Range = ANY
    value_at_risk_cents: Range = ANY
    paid_cents: Range = ANY
    order_count: Range = ANY
    first_order_at: Period = EVER
    last_order_at: Period = EVER
    page_size: int = PAGE_SIZE
    after: str = ""
    """The last customer of the page before, instead of a page."""


RANGES = (
    "value_cents",
    "churn_probability",
    "purchase_probability",
    "value_at_risk_cents",
    "paid_cents",
    "order_count",
)
PERIODS = ("first_order_at", "last_order_at")


@dataclass(frozen=True)
class CustomerRow:
    """One customer of the list; money in cents."""

    customer_id: str
    lifecycle_stage: str | None
    persona_id: int | None
    persona_code: str | None
    value_cents: float | None
    value_low_cents: float | None
    value_high_cents: float | None
    churn_probability: float | None
    purchase_probability: float | None
    value_at_risk_cents: float | None
    """Usual spend of 90 days times churn probability; None without an order in 180 days."""
    paid_cents: int
    order_count: int
    first_order_at: datetime | None
    last_order_at: datetime | None
    action: str | None
    channel: str | None
    country: str | None
    consent: str
    """Last answer about marketing: granted, withdrawn or unknown."""


@dataclass(frozen=True)
class CustomerPage:
    """One page of the list."""

    run_id: str
    as_of: datetime
    query: CustomerQuery
    total_count: int
    expected_cents: float | None
    """Sum of their values; None where no forecast is known."""
    at_risk_cents: float | None
    """Sum of their values at risk; None where there is none."""
    page_count: int
    rows: tuple[CustomerRow, ...]
    lifecycle_stages: tuple[FilterOption, ...]
    personas: tuple[FilterOption, ...]
    actions: tuple[FilterOption, ...]
    channels: tuple[FilterOption, ...]
    countries: tuple[FilterOption, ...]
    categories: tuple[FilterOption, ...]


@dataclass(frozen=True)
class MatchingCustomers:
    """Customers that a query finds, in the order of its sorting."""

    index: CustomerIndex
    positions: np.ndarray
    mask: np.ndarray
    visible: np.ndarray | None = None
    """Mask of the customers whom the reader sees; None is everybody."""

    def customer_ids(self, limit: int) -> tuple[str, ...]:
        """Ids of the first of them."""
        return tuple(one.decode() for one in self.index.customer_ids[self.positions[:limit]])

    def count_until(self, query: CustomerQuery) -> int:
        """How many of them are up to the last of the page before, who need not be one any more. Raises BadQuery."""
        position = self.index.positions([query.after])
        # why: the place of somebody whom the reader does not see would tell them what that customer is worth
        if not len(position) or (self.visible is not None and not self.visible[position[0]]):
            raise BadQuery(CURSOR_WRONG, where="cursor", todo=CURSOR_NONE)
        order = self.index.order(COLUMNS[query.sort], is_ascending=query.direction == "ascending")
        rank = int(np.flatnonzero(order == position[0])[0])
        return int(self.mask[order[: rank + 1]].sum())

    def rows(self, start: int, count: int) -> Iterator[CustomerRow]:
        """Rows from a place on."""
        for position in self.positions[start : start + count].tolist():
            yield CustomerRow(**self.index.row(position))


Bought = Callable[[str, str], np.ndarray]
"""Mask of who bought something: `category` or `product`, and which."""


def find_customers(
    shop: Shop,
    query: CustomerQuery,
    *,
    index: CustomerIndex | None = None,
    among: np.ndarray | None = None,
    bought: Bought | None = None,
) -> CustomerPage:
    """Search, filter, sort and page the customers of the last run; `index` saves a query where it is cached.

    `among`, a mask, restricts to some customers. Raises NoRunYet, and BadQuery for a value that no filter has.
    """
    view = last_run(shop)
    index = customer_index(view) if index is None else index
    matching = match_customers(shop, query, index=index, among=among, bought=bought)
    count = len(matching.positions)
    page_count = max(1, -(-count // query.page_size))
    page = min(max(query.page, 1), page_count)
    start = (page - 1) * query.page_size
    if query.after:
        start = matching.count_until(query)
        page = start // query.page_size + 1
    return CustomerPage(
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        query=replace(query, page=page),
        total_count=count,
        expected_cents=index.total("value_cents", matching.mask),
        at_risk_cents=index.total("value_at_risk_cents", matching.mask),
        page_count=page_count,
        rows=tuple(matching.rows(start, query.page_size)),
        lifecycle_stages=index.options["lifecycle_stage"],
        personas=index.options["persona_id"],
        actions=index.options["action"],
        channels=index.options["channel"],
        countries=index.options["country"],
        categories=index.categories,
    )


def match_customers(
    shop: Shop,
    query: CustomerQuery,
    *,
    index: CustomerIndex | None = None,
    among: np.ndarray | None = None,
    bought: Bought | None = None,
) -> MatchingCustomers:
    """Everybody whom a query finds. Raises NoRunYet, BadQuery as `find_customers` does."""
    view = last_run(shop)
    index = customer_index(view) if index is None else index
    _require_known_values(view, query, index)
    buyers = bought or (lambda kind, of: find_buyers(view, index, kind, of))
    mask = np.ones(len(index), bool) if among is None else among.copy()
    for part in (*_conditions(query, index), *_memberships(shop, query, index, buyers)):
        mask &= part
    order = index.order(COLUMNS[query.sort], is_ascending=query.direction == "ascending")
    return MatchingCustomers(index, order if mask.all() else order[mask[order]], mask, among)


def find_buyers(view: Snapshot, index: CustomerIndex, kind: str, name: str) -> np.ndarray:
    """Mask of the customers who bought of a category, or a product by its number or name."""
    if kind == "category" and name in index.buyers:
        return np.unpackbits(index.buyers[name], count=len(index)).astype(bool)
    condition = {
        "category": "l.category = $name",
        "product": "l.product_id in (select product_id from products where product_id = $name"
        " or lower(product_name) = lower($name))",
    }[kind]
    sql = f"select distinct l.customer_id from order_lines l where {condition} and l.is_identified and not l.is_refund"
    return index.mask(index.positions(view.query(sql, {"name": name})["customer_id"].to_pylist()))


def customer_table(shop: Shop, query: CustomerQuery, **how: Any) -> pa.Table:
    """Every customer whom a query finds, with every column of the list, for a file. Raises as `find_customers` does."""
    matching = match_customers(shop, query, **how)
    index, places = matching.index, matching.positions
    ids = [one.decode() for one in index.customer_ids[places].tolist()]
    columns: dict[str, pa.Array] = {"customer_id": pa.array(ids, pa.string())}
    for name, numbers in index.numbers.items():
        values = pa.array(numbers[places], from_pandas=True)
        columns[name] = values.cast(pa.int64()).cast(pa.timestamp("us", "UTC")) if name in PERIODS else values
    for name in CODES:
        code = index.codes[name]
        encoded = pa.DictionaryArray.from_arrays(
            pa.array(code.places[places], mask=code.places[places] < 0), pa.array(code.values, pa.string())
        )
        columns[name] = encoded.cast(pa.string())
    return pa.table(columns)


def _conditions(query: CustomerQuery, index: CustomerIndex) -> Iterator[np.ndarray]:
    """Masks of what the columns of the index say."""
    for name in CODES:
        if (wanted := getattr(query, name)) not in {"", None}:
            yield index.codes[name].places == index.codes[name].place_of(str(wanted))
    for name in RANGES:
        yield from _within(index.numbers[name], *getattr(query, name))
    for name in PERIODS:
        start, end = getattr(query, name)
        # why: the end is not part of a period, and a microsecond is the finest that times have
        high = None if end is None else microseconds(end) - 1
        yield from _within(index.numbers[name], None if start is None else microseconds(start), high)
    if query.is_at_risk:
        yield index.codes["lifecycle_stage"].places == index.codes["lifecycle_stage"].place_of("at_risk")
        yield np.isfinite(index.numbers["value_at_risk_cents"])


def _memberships(shop: Shop, query: CustomerQuery, index: CustomerIndex, bought: Bought) -> Iterator[np.ndarray]:
    """Masks of what is looked up: ids, purchases, tags, owners."""
    if prefix := query.search.strip().lower():
        yield index.mask(index.beginning_with(prefix))
    for kind in ("category", "product"):
        if name := getattr(query, kind):
            yield bought(kind, name)
    if query.tag:
        yield index.mask(index.positions(customers_with_tag(shop, query.tag)))
    if query.owner:
        is_free = query.owner == NOBODY
        owned = index.mask(index.positions(customers_of_owner(shop, None if is_free else query.owner)))
        yield ~owned if is_free else owned


def _within(values: np.ndarray, low: float | None, high: float | None) -> Iterator[np.ndarray]:
    if low is not None:
        yield values >= low
    if high is not None:
        yield values <= high


def _require_known_values(view: Snapshot, query: CustomerQuery, index: CustomerIndex) -> None:
    """Refuse values that filter by nothing there is. Raises BadQuery."""
    offers = [offer.id for offer in view.policy.offers]
    _require_one_of("lifecycle_stage", query.lifecycle_stage, LIFECYCLE_STAGES)
    _require_one_of("sort", query.sort, SORTS)
    _require_one_of("direction", query.direction, DIRECTIONS)
    _require_one_of("consent", query.consent, get_args(Answer))
    _require_one_of("action", query.action, ["none", *offers, *(option.value for option in index.options["action"])])


def _require_one_of(parameter: str, value: str, known: Iterable[str]) -> None:
    """Refuse a value that is not known; empty is no filter."""
    allowed = tuple(dict.fromkeys(known))
    if value and value not in allowed:
        listed = IT_IS_ONE_OF(choices=", ".join(allowed))
        todo = both(did_you_mean(value, allowed), listed)
        raise BadQuery(NOT_A_VALUE(value=value), where=parameter, todo=todo)
