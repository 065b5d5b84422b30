"""Live lists against a plain checker: no rule is broken, no place is left free, whatever the shopper does."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from list_index import AT_DAY, index_tables
from patron.recommenders.live.exploration import RegretBudget
from patron.recommenders.live.index_tables import RESPONSES, IndexTables, build_index, learned_model
from patron.recommenders.live.list_maker import ListMaker, ListRequest, ProductList
from patron.recommenders.live.recommendation_index import RecommendationIndex
from patron.recommenders.live.scenarios import Scenario
from patron.recommenders.live.session_memory import SessionEvent

FACTS = {
    "category": (None, "tea", "cups"),
    "style_id": (None, None, "s", "t"),
    "price_cents": (None, -250, 0, 199, 5_000),
    "cost_cents": (None, 0, 150, 9_000),
    "stock": (None, -1.0, 0.0, 1.0, 7.0),
    "is_blocked": (None, False, False, True),
    "is_consumable": (None, False, True),
    "known_day": (None, AT_DAY - 3, AT_DAY - 400),
}
AGES = (0.0, 3.0, 13.9, 14.0, 20.0, 400.0)
KINDS = ("view", "click", "cart_add", "order", "return", "hide", "bad_review", "shown", "search")
SETTINGS = st.fixed_dictionaries(
    {
        "in_stock": st.booleans(),
        "bought_within_days": st.sampled_from((0.0, 14.0)),
        "returned_within_days": st.sampled_from((0.0, 365.0)),
        "one_per_style": st.booleans(),
        "most_per_category": st.sampled_from((0, 1, 2)),
        "tail_share": st.sampled_from((0.0, 0.4)),
        "diversity": st.sampled_from((0.0, 0.3)),
        "least_click_probability": st.sampled_from((0.0, 0.0, 0.02)),
        "value_weight": st.sampled_from((0.0, 1.0)),
        "rotation": st.sampled_from((0.0, 0.9)),
    }
)


@dataclass(frozen=True, eq=False)
class Case:
    """Everything that one list is made from, as plain rows too."""

    products: list[dict]
    tables: IndexTables
    index: RecommendationIndex
    settings: dict
    blocked: tuple[str, ...]
    request: ListRequest
    hours: float
    share: float

    def maker(self) -> ListMaker:
        learned = learned_model(self.tables, self.index.facts.products)
        return ListMaker(self.index, *learned, RegretBudget(self.share))

    def are_variants(self, one: int, other: int) -> bool:
        style = self.products[one]["style_id"]
        return one == other or (style is not None and style == self.products[other]["style_id"])

    def ages(self, kinds: set[str], *, is_return: bool) -> list[tuple[int, float]]:
        """Products that the customer bought or returned, and days since."""
        past = [
            (int(row["product_id"][1:]), row["days"] + self.hours / 24)
            for row in self.tables.purchases.to_pylist()
            if row["is_return"] == is_return and self.request.customer >= 0 and row["customer_id"] == "c1"
        ]
        return past + [(product, age) for product, kind, age in self.visit() if kind in kinds]

    def visit(self) -> list[tuple[int, str, float]]:
        events = self.request.session
        return [
            (int(event.product[1:]), event.kind, self.request.day - event.day)
            for event in events
            if event.product != "x"
        ]

    def not_with(self, of_page: list[int]) -> list[int]:
        """Products that must not stand next to some others."""
        kinds = {"never", "substitute"} if self.request.scenario.name == "cart" else {"never"}
        rows = (row for row in self.tables.related.to_pylist() if row["kind"] in kinds)
        return [int(row["related_id"][1:]) for row in rows if int(row["product_id"][1:]) in of_page]

    def excluded(self) -> set[int]:
        """Products that this list must not have."""
        facts, rules = self.products, self.settings
        hidden = [one for one in self.request.hidden if one >= 0]
        hidden += [product for product, kind, _ in self.visit() if kind in {"hide", "bad_review"}]
        if self.request.customer >= 0:
            hidden += [int(row["product_id"][1:]) for row in self.tables.hidden.to_pylist()]
        returned = [one for one, age in self.ages({"return"}, is_return=True) if age < rules["returned_within_days"]]
        bought = [one for one, age in self.ages({"order"}, is_return=False) if age < rules["bought_within_days"]]
        gone, of_page = set(), [other for other in self.request.context if other >= 0]
        for one, product in enumerate(facts):
            away = [*hidden, *returned, *of_page, *self.not_with(of_page)]
            away += [] if product["is_consumable"] else bought
            is_sold_out = rules["in_stock"] and product["stock"] is not None and product["stock"] < 1
            is_elsewhere = self.request.allowed is not None and one not in self.request.allowed
            is_blocked = product["is_blocked"] or product["product_id"] in self.blocked
            if is_blocked or is_sold_out or is_elsewhere or any(self.are_variants(one, other) for other in away):
                gone.add(one)
        return gone


def draw_rows(draw, count: int) -> dict[str, list[dict]]:
    """Rows of what customers did and want, and of what goes together."""
    product = st.sampled_from([f"p{n:02}" for n in range(count)])
    customer, number = st.sampled_from(("c1", "c2", None)), st.sampled_from((0.0, 0.2, 1.0))
    shapes = {
        "purchases": {
            "customer_id": customer,
            "product_id": product,
            "days": st.sampled_from(AGES),
            "is_return": st.booleans(),
        },
        "related": {
            "product_id": product,
            "related_id": product,
            "kind": st.sampled_from(("together", "follows", "alike", "substitute", "never")),
            "strength": number,
        },
        "wanted": {
            "customer_id": st.just("c1"),
            "product_id": product,
            "probability": number | st.none(),
            "days_since": st.sampled_from((None, 4.0)),
            "because_product_id": product | st.none(),
        },
        "hidden": {"customer_id": st.just("c1"), "product_id": product, "days": st.sampled_from(AGES)},
    }
    rows = {name: draw(st.lists(st.fixed_dictionaries(shape), max_size=6)) for name, shape in shapes.items()}
    rows["wanted"] = list({row["product_id"]: row for row in rows["wanted"]}.values())
    return rows


@st.composite
def cases(draw) -> Case:
    count = draw(st.integers(1, 12))
    options = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in FACTS.items()})
    products = [{"product_id": f"p{n:02}"} | draw(options) for n in range(count)]
    rows = draw_rows(draw, count)
    responses = pa.table(
        {"product_id": ["p00"], **{name: [draw(st.sampled_from((0.0, 1.0, 30.0)))] for name in RESPONSES}}
    )
    tables = index_tables(products, **rows, responses=responses)
    hours, place = draw(st.sampled_from((0.0, 5.0, 80.0))), st.integers(-1, count - 1)
    day = AT_DAY + hours / 24
    event = st.builds(
        SessionEvent,
        st.sampled_from([day - age for age in AGES]),
        st.sampled_from(KINDS),
        st.sampled_from(["x", *(row["product_id"] for row in products)]),
    )
    codes = st.lists(place.filter(lambda one: one >= 0), max_size=count)
    chosen, blocked = draw(SETTINGS), draw(st.sampled_from(((), ("p00", "x"))))
    index = build_index(tables, at_day=AT_DAY, margin_share=0.3)
    request = ListRequest(
        Scenario.of(draw(st.sampled_from(("home", "cart"))), blocked, chosen),
        day,
        index.customers.code(draw(st.sampled_from(("c1", "nobody", None)))),
        sorted(draw(st.lists(event, max_size=6))),
        draw(st.lists(place, max_size=2)),
        draw(st.lists(place, max_size=2)),
        draw(st.integers(1, 8)),
        draw(st.none() | codes.map(lambda some: np.array(some, dtype=np.int64))),
    )
    return Case(products, tables, index, chosen, blocked, request, hours, draw(st.sampled_from((0.0, 0.1, 1.0))))


@settings(max_examples=100, deadline=None)
@given(cases(), st.integers(0, 9))
def test_no_list_breaks_a_rule_or_leaves_a_place_free_that_a_product_could_have(case, seed):
    made = case.maker().make(case.request, np.random.default_rng(seed))
    listed = [product.product for product in made.products]
    assert len(set(listed)) == len(listed) <= (case.request.count or 0)
    assert not case.excluded() & set(listed)
    if case.settings["one_per_style"]:
        assert not any(case.are_variants(one, other) for one in listed for other in listed if one != other)
    categories = Counter(case.products[one]["category"] for one in listed)
    del categories[None]
    most = case.settings["most_per_category"] or len(listed)
    assert all(count <= most for count in categories.values())
    check_numbers(case, made)
    check_length(case, made, listed, categories)
    again = case.maker().make(case.request, np.random.default_rng(seed))
    assert [(product.product, product.propensity) for product in again.products] == [
        (product.product, product.propensity) for product in made.products
    ]


def check_numbers(case: Case, made: ProductList) -> None:
    """Probabilities are probabilities, and one place at most was drawn."""
    propensities = [product.propensity for product in made.products]
    assert all(0 < propensity <= 1 for propensity in propensities)
    assert sum(propensity < 1 for propensity in propensities) <= (case.share > 0)
    for product in made.products:
        assert 0 <= product.buy_probability <= product.click_probability <= 1
        assert product.click_probability >= case.settings["least_click_probability"]
        assert all(0 <= interest <= 1 for interest in product.interests)


def check_length(case: Case, made: ProductList, listed: list[int], categories: Counter) -> None:
    """A short list says why, and every product that is not in it has a reason."""
    is_short = len(listed) < (case.request.count or 0)
    assert bool(made.why_short) == is_short
    for one, product in enumerate(case.products):
        assert (made.why_not(one) is None) == (one in listed)
        if not is_short or one in listed or one in case.excluded() or case.settings["least_click_probability"]:
            continue
        is_variant = any(case.are_variants(one, other) for other in listed) and case.settings["one_per_style"]
        assert is_variant or categories[product["category"]] == case.settings["most_per_category"] > 0


def maker_of(count: int, **rows) -> ListMaker:
    products = [{"product_id": f"p{n:05}", "category": f"k{n % 7}", "price_cents": 100} for n in range(count)]
    return ListMaker(build_index(index_tables(products, **rows), at_day=AT_DAY, margin_share=0.3))


def make(maker: ListMaker, **changes) -> ProductList:
    request = replace(ListRequest(Scenario.of("home", (), {}), AT_DAY), **changes)
    return maker.make(request, np.random.default_rng(0))


@pytest.mark.parametrize("count", [0, 1])
def test_a_shop_without_products_or_with_one_has_a_list_that_says_what_is_missing(count):
    made = make(maker_of(count), session=[SessionEvent(AT_DAY, "view", "gone")], context=[-1])
    assert [product.product for product in made.products] == list(range(count))
    assert made.why_short == {"no_candidate": 10 - count}
    assert make(maker_of(count), allowed=np.empty(0, np.int64)).products == ()


def test_ten_thousand_events_of_a_visit_count_by_its_newest():
    related = [{"product_id": f"p{n:05}", "related_id": "p00200", "kind": "alike", "strength": 0.5} for n in (100, 101)]
    maker = maker_of(300, related=related)
    long = [SessionEvent(AT_DAY + n / 1e5, "view", f"p{n % 90:05}") for n in range(10_000)]
    newest = SessionEvent(AT_DAY + 0.2, "view", "p00100")
    first = make(maker, session=[*long, newest], day=AT_DAY + 0.2).products[0]
    assert (first.product, first.reason.code, first.reason.product) == (200, "goes_with_visit", 100)
    assert 200 not in {product.product for product in make(maker, session=[newest, *long], day=AT_DAY + 0.2).products}


def test_who_bought_ten_thousand_products_gets_the_others():
    bought = [
        {"customer_id": "c", "product_id": f"p{n:05}", "days": 1.0, "is_return": False}
        for n in range(10_020)
        if n % 500 != 3
    ]
    maker = maker_of(10_020, purchases=bought)
    made = make(maker, customer=maker.index.customers.code("c"))
    assert {product.product % 500 for product in made.products} <= {3}
    assert len(made.products) == 10 or made.why_short["bought_recently"] > 1_000
    assert len(make(maker, customer=maker.index.customers.code("nobody")).products) == 10
