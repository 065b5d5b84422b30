"""A tiny shop for rules of segments: rows by hand, random rules, and a plain evaluator that SQL is compared with."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from hypothesis import strategies as st

from patron import understand
from patron.schema.table_definition import INT, TEXT, TIME
from patron.schema.tables import BY_NAME
from patron.segments.segment_rules import (
    AllOf,
    AnyOf,
    Comparison,
    ConsentRule,
    EventRule,
    FieldRule,
    Not,
    PurchaseRule,
    SegmentRule,
    TagRule,
    TraitRule,
)
from patron.storage.customers.customer_tables import CUSTOMER_TAGS
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS
from patron.understand.segment_members import build_segment_members

FIRST_CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
STAGES = ("new", "active", "at_risk", "lapsed")
CATEGORIES, BRANDS, PRODUCTS = ("Tea", "Coffee"), ("Blue", "Red"), ("p0", "p1", "p2")
EVENTS = ("Order Completed", "Product Viewed")
TRAITS = {"income": ("10", "20.5", "gold"), "loyalty_tier": ("gold", "silver")}
FEATURES = ("days_since_last_order", "favourite_category")
SEGMENTS = ("a", "b")
TAGS = ("VIP", "press", "O'Neill list")
QUESTIONS = {"value": "value", "churn": "churn_probability"}


@dataclass(frozen=True)
class World:
    """Everything known at a cutoff, customer by customer."""

    as_of: datetime
    customers: dict[str, dict]

    def rows(self, run_id: str) -> dict[str, list[dict]]:
        """Rows of the tables that rules read."""
        mark = {"run_id": run_id, "as_of": self.as_of}
        rows = {name: [] for name in ("segments", "scores", "traits", "consents", "order_lines", "identities")}
        for who, one in self.customers.items():
            scored = {"recency_score": 1, "frequency_score": 1, "monetary_score": 1, "stage_basis": "rhythm"}
            own = {name: one[name] for name in ("persona_id", "lifecycle_stage", "is_order_due")}
            rows["segments"].append(mark | {"customer_id": who} | scored | own)
            rows["scores"] += [
                mark | {"customer_id": who, "question": question, "model_version": f"{question}/x", "value": one[name]}
                for question, name in QUESTIONS.items()
                if one[name] is not None
            ]
            rows["traits"] += [
                {"customer_id": who, "trait": trait, "value": value, "event_id": f"{who}{n}"} | _times(at)
                for n, (trait, value, at) in enumerate(one["traits"])
            ]
            rows["consents"] += [
                {"customer_id": who, "purpose": purpose, "is_granted": granted, "is_latest": False, "is_of_user": True,
                 "basis": "consent", "event": f"{who}{n}"} | _times(at)
                for n, (purpose, granted, at) in enumerate(one["consents"])
            ]  # fmt: skip
            rows["order_lines"] += [_line(who, n, line) for n, line in enumerate(one["lines"])]
            rows["identities"].append(
                {"token": f"t-{who}", "customer_id": who, "is_user": True, "known_at": self.as_of}
            )
        return rows

    def events(self) -> list[dict]:
        """Rows of `events`."""
        return [
            {"source": "web", "event_id": f"{who}{n}", "name": name, "user_token": f"t-{who}", "occurred_at": at,
             "received_at": at, "known_at": at, "month": f"{at:%Y-%m}"}
            for who, one in self.customers.items()
            for n, (name, at) in enumerate(one["events"])
        ]  # fmt: skip


def _times(at: datetime) -> dict:
    return {"occurred_at": at, "known_at": at}


def _line(who: str, number: int, line: tuple) -> dict:
    product, category, brand, at, order = line
    amounts = dict.fromkeys(("gross_cents", "paid_cents"), 100) | {"discount_cents": 0, "quantity": 1}
    flags = {"is_identified": True, "has_coupon": False, "has_price": True, "is_refund": False}
    ids = {"line_id": f"{who}/{number}", "customer_id": who, "order_id": order, "product_id": product}
    return ids | {"category": category, "brand": brand, "ordered_at": at} | _times(at) | amounts | flags


def world_at(as_of: datetime, seed: int, size: int = 30) -> World:
    """Random customers with unknown values among theirs."""
    rng = np.random.default_rng(seed)

    def pick(values, unknown=0.0):
        return None if rng.random() < unknown else values[int(rng.integers(len(values)))]

    def moment():
        return as_of - timedelta(days=float(rng.integers(0, 120)) + 0.5)

    customers = {
        f"c{n:03}": {
            "persona_id": int(rng.integers(-1, 3)),
            "lifecycle_stage": pick(STAGES),
            "is_order_due": pick((True, False), 0.3),
            "value": pick((0.0, 500.0, 1000.0, 2500.5), 0.2),
            "churn_probability": pick((0.1, 0.4, 0.9), 0.2),
            "days_since_last_order": pick((1, 20, 90), 0.2),
            "favourite_category": pick(CATEGORIES, 0.3),
            "traits": [(t, pick(TRAITS[t]), moment()) for t in TRAITS for _ in range(int(rng.integers(0, 3)))],
            "consents": [(pick(("marketing", "profiling")), pick((True, False)), moment()) for _ in range(2)],
            "lines": [
                (pick(PRODUCTS), pick(CATEGORIES, 0.2), pick(BRANDS, 0.2), moment(), f"o{rng.integers(3)}-{n}")
                for _ in range(int(rng.integers(0, 5)))
            ],
            "events": [(pick(EVENTS), moment()) for _ in range(int(rng.integers(0, 5)))],
            "tags": {pick(TAGS) for _ in range(int(rng.integers(0, 3)))},
        }
        for n in range(size)
        if rng.random() < 0.9
    }
    return World(as_of, with_deciles(customers))


def with_deciles(customers: dict[str, dict]) -> dict[str, dict]:
    scored = sorted((one["value"], who) for who, one in customers.items() if one["value"] is not None)
    deciles = {who: place * 10 // len(scored) + 1 for place, (_, who) in enumerate(scored)}
    return {who: one | {"value_decile": deciles.get(who)} for who, one in customers.items()}


def holds(rule, one: dict, as_of: datetime, rules: dict) -> bool:
    """Whether a rule holds for a customer: the same as the SQL, in plain words."""
    match rule:
        case AllOf(parts) | AnyOf(parts):
            return (all if isinstance(rule, AllOf) else any)(holds(part, one, as_of, rules) for part in parts)
        case Not(part):
            return not holds(part, one, as_of, rules)
        case SegmentRule(name):
            return holds(rules[name], one, as_of, rules)
        case FieldRule(name, test):
            is_hidden = name not in FEATURES and last_answer(one, "profiling") == "withdrawn"
            return compares(None if is_hidden else one[name], test)
        case _:
            return holds_of_history(rule, one, as_of)


def holds_of_history(rule, one: dict, as_of: datetime) -> bool:
    """The same for what a customer declared, answered, bought and did."""
    match rule:
        case TraitRule(name, test):
            values = [(at, value) for trait, value, at in one["traits"] if trait == name]
            value = max(values)[1] if values else None
            return compares(as_number(value) if wants_number(test) else value, test)
        case ConsentRule(purpose, answer):
            return last_answer(one, purpose) == answer
        case PurchaseRule():
            orders = {
                order
                for product, category, brand, at, order in one["lines"]
                if (not rule.products or product in rule.products)
                and (not rule.categories or category in rule.categories)
                and (not rule.brands or brand in rule.brands)
                and is_within(at, as_of, rule.within_days)
            }
            return len(orders) >= rule.least
        case EventRule():
            events = [at for name, at in one["events"] if name == rule.event and is_within(at, as_of, rule.within_days)]
            return len(events) >= rule.least
        case TagRule(tags):
            return not one["tags"].isdisjoint(tags)


def last_answer(one: dict, purpose: str) -> str:
    answers = [(at, not granted) for of, granted, at in one["consents"] if of == purpose]
    return ("withdrawn" if max(answers)[1] else "granted") if answers else "unknown"


def is_within(at: datetime, as_of: datetime, days: int | None) -> bool:
    return at < as_of and (days is None or at >= as_of - timedelta(days=days))


def wants_number(test: Comparison) -> bool:
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    return test.op != "is_null" and all(isinstance(value, int | float) for value in values)


def as_number(value: str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def compares(value, test: Comparison) -> bool:
    if test.op == "is_null":
        return (value is None) == test.value
    if value is None:
        return False
    return {
        "==": lambda: value == test.value,
        "!=": lambda: value != test.value,
        "<": lambda: value < test.value,
        "<=": lambda: value <= test.value,
        ">": lambda: value > test.value,
        ">=": lambda: value >= test.value,
        "in": lambda: value in test.value,
        "not_in": lambda: value not in test.value,
        "between": lambda: test.value[0] <= value <= test.value[1],
    }[test.op]()


UNKNOWN = st.booleans().map(lambda value: Comparison("is_null", value))
NUMBERS = {
    "value": (0, 500.0, 1000, 2600), "churn_probability": (0.1, 0.4, 1), "value_decile": (1, 5, 10),
    "persona_id": (-1, 0, 2), "days_since_last_order": (1, 20, 90.0),
}  # fmt: skip
TEXTS = {"lifecycle_stage": STAGES, "favourite_category": (*CATEGORIES, "Milk' or 1=1 --")}


def number_tests(values):
    one, several = st.sampled_from(values), st.lists(st.sampled_from(values), min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Comparison, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), one),
        st.builds(Comparison, st.sampled_from(["in", "not_in"]), several),
        st.builds(Comparison, st.just("between"), st.tuples(one, one)),
        UNKNOWN,
    )


def text_tests(values):
    several = st.lists(st.sampled_from(values), min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Comparison, st.sampled_from(["==", "!="]), st.sampled_from(values)),
        st.builds(Comparison, st.sampled_from(["in", "not_in"]), several),
        UNKNOWN,
    )


WITHIN, MIN_VALUE = st.sampled_from([None, 7, 30, 100]), st.sampled_from([1, 1, 2])
LEAVES = st.one_of(
    *(st.builds(FieldRule, st.just(name), number_tests(values)) for name, values in NUMBERS.items()),
    *(st.builds(FieldRule, st.just(name), text_tests(values)) for name, values in TEXTS.items()),
    st.builds(FieldRule, st.just("is_order_due"), st.builds(Comparison, st.sampled_from(["==", "!="]), st.booleans())),
    *(st.builds(TraitRule, st.just(name), text_tests(values)) for name, values in TRAITS.items()),
    st.builds(TraitRule, st.just("income"), number_tests((10, 20.5, 15))),
    st.builds(
        ConsentRule, st.sampled_from(["marketing", "profiling"]), st.sampled_from(["granted", "withdrawn", "unknown"])
    ),
    st.builds(
        PurchaseRule,
        st.sampled_from([("p0",), ("p1", "p2")]),
        st.sampled_from([(), ("Tea",)]),
        st.sampled_from([(), ("Red",)]),
        WITHIN,
        MIN_VALUE,
    ),
    st.builds(PurchaseRule, st.just(()), st.sampled_from([("Coffee",), CATEGORIES]), st.just(()), WITHIN, MIN_VALUE),
    st.builds(EventRule, st.sampled_from(EVENTS), WITHIN, MIN_VALUE),
    st.builds(TagRule, st.sampled_from([("VIP",), TAGS[1:], ("nobody's",)])),
)


def trees(leaves=LEAVES):
    """Random rules over the fields of the tiny shop."""
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(tuple).map(AllOf),
            st.lists(inner, max_size=3).map(tuple).map(AnyOf),
            st.builds(Not, inner),
        ),
        max_leaves=8,
    )


NESTED = trees(st.one_of(LEAVES, st.sampled_from(SEGMENTS).map(SegmentRule)))
"""Rules that may mention the segments `a` and `b`."""


def write_world(shop: Shop, world: World) -> Run:
    """Write the tables of one run, with what the run makes of the segments; return the run."""
    run = Run.at(world.as_of)
    for name, rows in world.rows(run.run_id).items():
        table = BY_NAME[name]
        arrays = {c.name: pa.array([row.get(c.name) for row in rows], c.type) for c in table.columns}
        part = run.run_id if table.partition_by == "run_id" else None
        shop.lake.replace(table, pa.table(arrays, table.schema()), part=part)
    listed = world.customers.items()
    columns = {
        "run_id": pa.array([run.run_id] * len(listed), TEXT),
        "customer_id": pa.array([who for who, _ in listed], TEXT),
        "as_of": pa.array([world.as_of] * len(listed), TIME),
        "feature_version": pa.array(["v"] * len(listed), TEXT),
        "days_since_last_order": pa.array([one["days_since_last_order"] for _, one in listed], INT),
        "favourite_category": pa.array([one["favourite_category"] for _, one in listed], TEXT),
    }
    shop.lake.replace(BY_NAME["features"], pa.table(columns), part=run.run_id)
    events = world.events()
    arrays = {c.name: pa.array([row.get(c.name) for row in events], c.type) for c in BY_NAME["events"].columns}
    shop.lake.replace(BY_NAME["events"], pa.table(arrays, BY_NAME["events"].schema()))
    write_tags(shop, world)
    build_segment_members(
        shop.view(understand.READS, understand.WRITES, run=run, last=shop.last_completed(), capabilities={})
    )
    return run


def write_tags(shop: Shop, world: World) -> None:
    """Make the tags of the shop those of a world, and one of somebody who is no customer any more."""
    marks = {"added_at": world.as_of, "added_by": "t"}
    rows = [{"customer_id": who, "tag": tag} for who, one in world.customers.items() for tag in sorted(one["tags"])]
    with shop.store.begin() as connection:
        connection.execute(sa.delete(CUSTOMER_TAGS))
        connection.execute(
            sa.insert(CUSTOMER_TAGS), [row | marks for row in [*rows, {"customer_id": "gone", "tag": "VIP"}]]
        )


def finish_run(shop: Shop, run: Run) -> None:
    """Make a run the last one."""
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    row = {"run_id": run.run_id, "as_of": run.as_of, "finished_at": run.as_of, "seconds": 1.0, "seed": run.seed,
           "policy_version": "p", "table_versions": versions, "summary": {}}  # fmt: skip
    with shop.store.begin() as connection:
        connection.execute(sa.delete(RUNS).where(RUNS.c.run_id == run.run_id))
        connection.execute(sa.insert(RUNS).values(row))
