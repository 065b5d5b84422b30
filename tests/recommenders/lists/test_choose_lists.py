"""Lists against a plain checker: no rule is broken, and whatever is left out has its reason."""

import math
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.recommenders.lists import (
    EXCLUSIONS,
    LISTED,
    ItemsByRow,
    ListCandidates,
    ListRules,
    ProductFacts,
    ProductLists,
    ShopperFacts,
    choose_lists,
)

DAYS = (0.0, 3.0, 14.0, 20.0, 364.5, 365.0, math.inf)
FACTS = {
    "category": (None, "tea", "cups"),
    "brand": (None, "x", "y"),
    "style_id": (None, None, "s", "t"),
    "margin_share": (None, -0.1, 0.2, 0.5),
    "stock": (None, -1, 0, 1, 7),
    "is_blocked": (False, False, False, True),
    "is_consumable": (False, True),
    "is_tail": (False, True),
}
PASTS = ("bought", "returned", "hidden", "on_page", "not_with_page")
VECTORS = ((0, 0), (1, 0), (0, 2), (-1, 0))
RULES = st.builds(
    ListRules,
    in_stock=st.booleans(),
    least_margin_share=st.sampled_from((None, 0.0, 0.2)),
    bought_within_days=st.sampled_from((0.0, 14.0, math.inf)),
    returned_within_days=st.sampled_from((0.0, 365.0)),
    blocked=st.sampled_from(((), ("p00",), ("p03", "not there"))),
    one_per_style=st.booleans(),
    most_per_category=st.sampled_from((None, 1, 2)),
    min_relevance=st.sampled_from((0.0, 0.3)),
    tail_share=st.sampled_from((0.0, 0.3, 0.5, 1.0)),
    diversity=st.sampled_from((0.0, 0.25, 0.5, 1.0)),
)


@dataclass(frozen=True)
class Case:
    """Everything that lists are chosen from, as plain rows too."""

    products: list[dict]
    facts: ProductFacts
    pairs: list[tuple[int, int, float]]
    rows: int
    past: dict[str, list[tuple[int, int, float]]]
    rules: ListRules
    k: int

    def lists(self) -> ProductLists:
        candidates = candidates_of(self.pairs, self.rows)
        return choose_lists(candidates, self.facts, self.rules, self.k, shopper_of(self.past, self.rows))

    def best(self, row: int) -> dict[int, float]:
        """Distinct candidates of a row with their best relevance."""
        best: dict[int, float] = {}
        for place, item, relevance in self.pairs:
            if place == row:
                best[item] = max(relevance, best.get(item, 0.0))
        return best

    def is_known(self, kind: str, row: int, item: int, within_days: float) -> bool:
        """Whether something happened to a product, or to a variant of it, within so many days."""
        return any(
            place == row and other >= 0 and days < within_days and self.is_variant(item, other)
            for place, other, days in self.past[kind]
        )

    def is_variant(self, item: int, other: int) -> bool:
        style = self.products[item]["style_id"]
        return item == other or (style is not None and style == self.products[other]["style_id"])

    def broken(self, row: int, item: int, relevance: float) -> list[str]:
        """Every filter that a candidate breaks, the reason first."""
        facts, rules = self.products[item], self.rules
        stock, margin = facts["stock"], facts["margin_share"]
        is_bought = self.is_known("bought", row, item, rules.bought_within_days)
        filters = {
            "blocked": facts["is_blocked"] or facts["product_id"] in rules.blocked,
            "hidden": self.is_known("hidden", row, item, math.inf),
            "on_page": self.is_known("on_page", row, item, math.inf),
            "not_with_page": self.is_known("not_with_page", row, item, math.inf),
            "returned": self.is_known("returned", row, item, rules.returned_within_days),
            "bought_recently": is_bought and not facts["is_consumable"],
            "out_of_stock": rules.in_stock and stock is not None and stock < 1,
            "low_margin": None not in {rules.least_margin_share, margin} and margin < rules.least_margin_share,
            "low_relevance": relevance < rules.min_relevance,
        }
        return [name for name, is_broken in filters.items() if is_broken]


def candidates_of(pairs, rows: int) -> ListCandidates:
    row, item, relevance = (np.array([pair[at] for pair in pairs]) for at in range(3))
    return ListCandidates(row, item, relevance, rows)


def shopper_of(past, rows: int) -> ShopperFacts:
    parts = ([[pair[at] for pair in past[name]] for at in range(3)] for name in PASTS)
    return ShopperFacts(*(ItemsByRow.of(rows, *part) for part in parts))


def facts_of(products: list[dict]) -> ProductFacts:
    kinds = {"margin_share": pa.float64(), "stock": pa.float64()} | dict.fromkeys(
        ("is_blocked", "is_consumable", "is_tail"), pa.bool_()
    )
    columns = {
        name: pa.array([product[name] for product in products], kinds.get(name, pa.string()))
        for name in ("product_id", *FACTS)
    }
    return ProductFacts.of(pa.table(columns))


@st.composite
def cases(draw) -> Case:
    count = draw(st.integers(1, 12))
    options = st.tuples(*(st.sampled_from(values) for values in FACTS.values()))
    values = draw(st.lists(options, min_size=count, max_size=count))
    products = [{"product_id": f"p{at:02}"} | dict(zip(FACTS, one, strict=True)) for at, one in enumerate(values)]
    facts = facts_of(products)
    if draw(st.booleans()):
        vectors = draw(st.lists(st.sampled_from(VECTORS), min_size=count, max_size=count))
        facts = facts.with_vectors(vectors)
    rows = draw(st.integers(1, 3))
    relevance = st.one_of(st.sampled_from((0.0, 0.2, 0.5, 0.8)), st.floats(0, 1))
    pair = st.tuples(st.integers(0, rows - 1), st.integers(0, count - 1), relevance)
    pairs = sorted(draw(st.lists(pair, max_size=30)), key=lambda one: one[0])
    event = st.tuples(st.integers(0, rows - 1), st.integers(-1, count - 1), st.sampled_from(DAYS))
    past = {name: draw(st.lists(event, max_size=3)) for name in PASTS}
    return Case(products, facts, pairs, rows, past, draw(RULES), draw(st.integers(1, 8)))


def listed(lists: ProductLists, row: int) -> list[int]:
    items = lists.items[row].tolist()
    size = items.index(-1) if -1 in items else len(items)
    assert items[size:] == [-1] * (len(items) - size)
    return items[:size]


@settings(max_examples=200, deadline=None)
@given(cases())
def test_no_list_breaks_a_rule_or_is_short_without_saying_why(case):
    lists = case.lists()
    for row in range(case.rows):
        items, best = listed(lists, row), case.best(row)
        assert len(set(items)) == len(items)
        for at, item in enumerate(items):
            assert not case.broken(row, item, best[item])
            assert lists.relevance[row, at] == best[item]
            if case.rules.one_per_style:
                assert not any(case.is_variant(item, other) for other in items[:at])
        categories = Counter(case.products[item]["category"] for item in items)
        del categories[None]
        most = case.rules.most_per_category
        assert most is None or all(count <= most for count in categories.values())
        check_reasons(case, lists, row)
        check_summary(lists, row, items, best)
        check_tail(case, lists, row)


def check_tail(case, lists, row):
    """Fewer places than the long tail should have are because every other of its products clashes with the list."""
    tail = [item for item in case.best(row) if case.products[item]["is_tail"]]
    reasons = [lists.why_not(row, item) for item in tail]
    places = math.floor(round(case.k * case.rules.tail_share, 6))
    assert reasons.count(None) >= places or "lower_rank" not in reasons


def check_reasons(case, lists, row):
    """Each candidate is in the list, or its reason holds."""
    items, best = listed(lists, row), case.best(row)
    in_category = Counter(case.products[item]["category"] for item in items)
    for place, (of_row, item, _) in enumerate(case.pairs):
        if of_row != row:
            continue
        code = lists.exclusions[place]
        reason = None if code == LISTED else EXCLUSIONS[code]
        assert (reason is None) == (item in items)
        assert lists.why_not(row, item) == reason
        broken = case.broken(row, item, best[item])
        assert reason == broken[0] if broken else reason not in EXCLUSIONS[: EXCLUSIONS.index("same_style")]
        if reason == "same_style":
            assert case.rules.one_per_style
            assert any(case.is_variant(item, other) for other in items)
        if reason == "category_full":
            category = case.products[item]["category"]
            assert category is not None
            assert in_category[category] == case.rules.most_per_category
        if reason == "lower_rank":
            assert len(items) == case.k


def check_summary(lists, row, items, best):
    """A short list says how many products each reason left out; no one is counted twice."""
    k = lists.items.shape[1]
    reasons = Counter(reason for item in best if (reason := lists.why_not(row, item)))
    if len(best) < k:
        reasons["no_candidate"] = k - len(best)
    assert lists.why_short(row) == ({} if len(items) == k else reasons)
    assert len(items) + reasons.total() >= k


@settings(max_examples=200, deadline=None)
@given(cases())
def test_lists_are_the_greedy_choice(case):
    lists = case.lists()
    for row in range(case.rows):
        assert listed(lists, row) == greedy(case, row)


def greedy(case, row) -> list[int]:
    best = case.best(row)
    free = {item: relevance for item, relevance in sorted(best.items()) if not case.broken(row, item, relevance)}
    places = math.floor(round(case.k * case.rules.tail_share, 6))
    tail = {item: relevance for item, relevance in free.items() if case.products[item]["is_tail"]}
    reserved = []
    while len(reserved) < places and (rest := [item for item in tail if fits(case, item, reserved)]):
        reserved.append(max(rest, key=lambda item: (score(case, item, free, reserved), free[item], -item)))
    items = []
    while len(items) < case.k:
        waiting = [item for item in reserved if item not in items]
        rest = [item for item in free if fits(case, item, set(items) | set(reserved))] + waiting
        rest = waiting if waiting and case.k - len(items) <= len(waiting) else rest
        if not rest:
            break
        items.append(max(rest, key=lambda item: (score(case, item, free, items), free[item], -item)))
    return items


def fits(case, item, items) -> bool:
    """Whether an item may join others."""
    category, most = case.products[item]["category"], case.rules.most_per_category
    is_full = category is not None and most == sum(case.products[other]["category"] == category for other in items)
    is_variant = case.rules.one_per_style and any(case.is_variant(item, other) for other in items)
    return item not in items and not is_full and not is_variant


def score(case, item, free, items) -> float:
    weight = case.rules.diversity
    if not weight:
        return free[item]
    highest = max(free.values()) or 1.0
    return free[item] * ((1 - weight) / highest) - weight * max((alike(case, item, one) for one in items), default=0.0)


def alike(case, item, other) -> float:
    if case.is_variant(item, other):
        return 1.0
    vectors = case.facts.vectors[[item, other]].astype(float)
    if vectors.any(axis=1).all():
        return max(float(vectors[0] @ vectors[1]), 0.0)
    facts, others = case.products[item], case.products[other]
    shares = {name: facts[name] is not None and facts[name] == others[name] for name in ("category", "brand")}
    return 0.5 * shares["category"] + 0.3 * shares["brand"]


@settings(max_examples=100, deadline=None)
@given(cases())
def test_without_diversity_lists_go_down_in_relevance_and_keep_places_for_the_tail(case):
    case = replace(case, rules=replace(case.rules, diversity=0.0, most_per_category=None, one_per_style=False))
    lists, places = case.lists(), math.floor(round(case.k * case.rules.tail_share, 6))
    for row in range(case.rows):
        items, best = listed(lists, row), case.best(row)
        order = [(-best[item], item) for item in items]
        assert order == sorted(order)
        eligible = [item for item, relevance in best.items() if not case.broken(row, item, relevance)]
        is_tail = {item: case.products[item]["is_tail"] for item in eligible}
        assert sum(is_tail[item] for item in items) >= min(places, sum(is_tail.values()))


@settings(max_examples=100, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_a_list_is_the_same_alone_among_others_and_in_any_order_of_candidates(case, random):
    together = case.lists()
    shuffled = sorted(random.sample(case.pairs, len(case.pairs)), key=lambda one: one[0])
    np.testing.assert_array_equal(replace(case, pairs=shuffled).lists().items, together.items)
    for row in range(case.rows):
        pairs = [(0, *pair[1:]) for pair in case.pairs if pair[0] == row]
        past = {name: [(0, *event[1:]) for event in events if event[0] == row] for name, events in case.past.items()}
        alone = replace(case, pairs=pairs, past=past, rows=1).lists()
        np.testing.assert_array_equal(alone.items[0], together.items[row])
        np.testing.assert_array_equal(alone.counts[0], together.counts[row])


def test_what_is_reserved_makes_nothing_alike_before_it_is_in_the_list():
    tea, cups = {"category": "tea"}, {"category": "cups"}
    products = [{"product_id": "a", "is_tail": True} | tea, {"product_id": "b"} | tea, {"product_id": "c"} | cups]
    facts = facts_of([dict.fromkeys(FACTS) | product for product in products])
    pairs = [(0, 0, 0.5), (0, 1, 0.9), (0, 2, 0.6)]
    lists = choose_lists(candidates_of(pairs, 1), facts, ListRules(tail_share=0.5, diversity=0.5), 2)
    assert lists.items.tolist() == [[1, 0]]
    assert lists.why_not(0, 2) == "lower_rank"
