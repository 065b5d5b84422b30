"""What customers need next: truth from a planted rhythm, no leak, and no contradiction with other forecasts."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.estimators.learner import FORECAST
from patron.predict import READS, WRITES
from patron.predict.category_needs import LEARNERS
from patron.predict.category_needs.needs import build_category_needs, learning_rows
from patron.predict.category_needs.pair_rows import QUESTIONS, CategoryPairs, labelled_by, pair_table
from patron.predict.category_needs.purchases import read_purchases
from patron.predict.category_needs.ranked_needs import best_first, days_until_due, spend_within
from patron.predict.origins import at, known_at_origin
from patron.schema.models.questions import CATEGORY_PURCHASE, CATEGORY_SPEND, PURCHASE, VALUE
from patron.schema.numbers import float_column
from patron.schema.table_checks import validated
from patron.schema.tables import BY_NAME
from patron.storage.models import model_registry
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop

pytestmark = pytest.mark.xdist_group("category_needs")
AS_OF = datetime(2023, 12, 1, tzinfo=UTC)
DAYS, CUSTOMERS = 330, 220
GAPS = {"coffee": 21.0, "filters": 45.0, "razors": 75.0}
PRICE = {"coffee": 1_200, "filters": 700, "razors": 2_500, "toys": 1_900}


def planted_lines(seed=3, customers=CUSTOMERS):
    """Each customer buys two categories in a rhythm of their own, and toys at random."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(customers):
        for category in rng.choice(sorted(GAPS), 2, replace=False):
            gap = GAPS[category] * rng.uniform(0.8, 1.25)
            day = rng.uniform(0, gap)
            while day < DAYS + 40:
                rows.append((f"c{number:03d}", str(category), day, PRICE[category]))
                day += max(gap + rng.normal(0, 1.5), 2.0)
        rows += [(f"c{number:03d}", "toys", day, PRICE["toys"]) for day in rng.uniform(0, DAYS, rng.poisson(1.0))]
    return rows


def facts_of(rows, **changes):
    """Order lines and orders of (customer, category, day, cents), known when ordered."""
    count = len(rows)
    names = [f"o{number}" for number in range(count)]
    times = pa.array([AS_OF - timedelta(days=DAYS - day) for _, _, day, _ in rows], pa.timestamp("us", tz="UTC"))
    paid = pa.array([cents for *_, cents in rows], pa.int64())
    same = {"customer_id": [row[0] for row in rows], "is_identified": [True] * count, "order_id": names}
    same |= {"occurred_at": times, "known_at": times, "gross_cents": paid, "discount_cents": [0] * count}
    same |= {"paid_cents": paid, "has_coupon": [False] * count}
    lines = {"line_id": names, "category": [row[1] for row in rows], "category_known_at": times, "ordered_at": times}
    lines |= {"quantity": [1] * count, "has_price": [True] * count, "is_refund": [False] * count}
    numbers = ("line_count", "product_count", "unit_count", "local_hour", "local_weekday", "local_day")
    return pa.table({**same, **lines, **changes}), pa.table({**same, **dict.fromkeys(numbers, [1] * count)})


def shop_with(folder, lines, orders):
    shop, run = Shop.create(folder), Run.at(AS_OF)
    for name, rows in (("order_lines", lines), ("orders", orders)):
        known = rows.filter(pc.less(rows["known_at"], pa.scalar(AS_OF, rows["known_at"].type)))
        shop.lake.replace(BY_NAME[name], validated(BY_NAME[name], known))
    return shop.view(READS, WRITES, run=run)


def limits_of(view, *, chance=1.0, value=1e9):
    """Scores as a run has them, the same for everybody."""
    customers = view.query("select distinct customer_id from orders order by customer_id")["customer_id"]
    return [
        pa.table(
            {
                "customer_id": customers,
                "question": pa.repeat(question.name, len(customers)),
                "value": pa.repeat(number, len(customers)),
            }
        )
        for question, number in ((PURCHASE, chance), (VALUE, value))
    ]


@pytest.fixture(scope="module")
def rows():
    return planted_lines()


@pytest.fixture(scope="module")
def view(tmp_path_factory, rows):
    return shop_with(tmp_path_factory.mktemp("needs") / "w", *facts_of(rows))


@pytest.fixture(scope="module")
def built(view):
    result = build_category_needs(view, limits_of(view))
    return result, view.read("category_needs"), view.read("category_forecasts")


@pytest.fixture(scope="module")
def learned(view):
    """Per question: what was known at the newest past cutoff, and its rows with what came."""
    found = {}
    for question in QUESTIONS:
        table = labelled_by(learning_rows(read_purchases(view), AS_OF), question)
        origin = AS_OF - timedelta(days=question.horizon_days)
        found[question.name] = known_at_origin(table, origin, question.horizon_days), at(table, origin)
    return found


def came(rows, days=30):
    """Pairs bought in the days after the cutoff."""
    return {(customer, category) for customer, category, day, _ in rows if DAYS <= day < DAYS + days}


def test_who_is_due_is_likely_and_who_has_just_bought_is_not(built, rows):
    assert built[0].unanswered == ()
    needs = built[1].to_pylist()
    coming = came(rows)
    planted = [row for row in needs if row["category"] in {"filters", "razors"} and row["usual_gap_days"] is not None]
    chance = np.array([row["probability"] for row in planted])
    bought = np.array([(row["customer_id"], row["category"]) in coming for row in planted])
    assert len(planted) > 150
    assert 0.2 < bought.mean() < 0.8
    assert CATEGORY_PURCHASE.metrics[0].of(bought.astype(float), chance) > 0.9
    assert chance.mean() == pytest.approx(bought.mean(), abs=3 * np.sqrt(0.25 / len(bought)))
    coffee = [row["probability"] for row in needs if row["category"] == "coffee" and row["reason"] == "due_soon"]
    assert np.mean(coffee) > 0.9


def test_every_champion_beats_every_rule_and_is_kept(view, built):
    evaluated = built[0].backtests
    for question in QUESTIONS:
        whole = evaluated.filter(
            pc.and_(pc.equal(evaluated["question"], question.name), pc.equal(evaluated["origin"], "all"))
        ).to_pylist()
        assert {row["learner"] for row in whole} == {one.name for one in LEARNERS[question.name]}
        primary = question.primary_metric.name
        champion = next(row for row in whole if row["learner"] == row["champion"] and row["metric"] == primary)
        assert champion["gain_low"] > 0, question.name
        version = f"{question.name}/{view.run.run_id}"
        card = model_registry.card(view.models_folder, view.declared_store, version)
        assert card["learner"] == champion["champion"]
        assert card["question"] == question.meaning


def test_a_customer_has_at_most_five_categories_the_likeliest_first(built):
    by_customer = {}
    for row in built[1].to_pylist():
        by_customer.setdefault(row["customer_id"], []).append(row)
    assert len(by_customer) == CUSTOMERS
    for ones in by_customer.values():
        ones.sort(key=lambda one: one["rank"])
        assert [one["rank"] for one in ones] == list(range(1, len(ones) + 1))
        assert len(ones) <= 5
        assert len({one["category"] for one in ones}) == len(ones)
        chances = [one["probability"] for one in ones]
        assert chances == sorted(chances, reverse=True)


def test_due_follows_from_the_probability_and_overdue_from_the_rhythm(built, rows):
    last = {}
    for customer, category, day, _ in rows:
        if day < DAYS:
            last[customer, category] = max(day, last.get((customer, category), 0))
    seen = set()
    for row in built[1].to_pylist():
        expected = days_until_due(np.array([row["probability"]]))[0]
        assert row["days_until_due"] == (pytest.approx(expected) if expected <= 90 else None)
        elapsed = DAYS - last.get((row["customer_id"], row["category"]), np.nan)
        seen.add(row["reason"])
        if row["reason"] == "overdue":
            assert elapsed > row["usual_gap_days"]
        assert (row["reason"] == "popular_now") == np.isnan(elapsed)
    assert {"overdue", "due_soon", "popular_now"} <= seen


def test_what_the_cutoff_could_not_know_changes_no_feature(tmp_path, view, rows):
    """Lines of later orders, and lines that became known later, are left out: features at a past cutoff stay."""
    days = 60
    until = DAYS - days
    late = [(customer, category, day, cents) for customer, category, day, cents in rows[::9] if day < until]
    known = pa.array([AS_OF - timedelta(days=days - 5)] * len(late), pa.timestamp("us", tz="UTC"))
    lines, orders = facts_of([row for row in rows if row[2] < until])
    more_lines, more_orders = facts_of([(*one[:2], one[2] - 0.5, 99_999) for one in late])
    names = pa.array([f"late{number}" for number in range(len(late))])
    more_lines = replaced(replaced(replaced(more_lines, "known_at", known), "line_id", names), "order_id", names)
    more_orders = replaced(replaced(more_orders, "known_at", known), "order_id", names)
    later, later_orders = facts_of([row for row in rows if row[2] >= until])
    later, later_orders = (replaced(one, "order_id", renamed(one["order_id"])) for one in (later, later_orders))
    later = replaced(later, "line_id", later["order_id"])
    past = shop_with(tmp_path / "past", lines, orders)
    whole = shop_with(
        tmp_path / "whole",
        pa.concat_tables([lines, more_lines, later]),
        pa.concat_tables([orders, more_orders, later_orders]),
    )
    tables = [features_at(one, days) for one in (past, whole)]
    assert tables[0].num_rows > 500
    assert differing(*tables) == []
    assert {"days_since_purchase", "paid_per_purchase"} <= set(differing(features_at(view, days - 30), tables[0]))


def features_at(view, days):
    """Features of all pairs at a past cutoff, in order of customer and category; no outcome, no sample key."""
    table = pair_table(CategoryPairs.at(read_purchases(view), days), AS_OF).drop_columns(["sample_key"])
    table = table.drop_columns([question.name for question in QUESTIONS])
    table = table.set_column(table.column_names.index("category"), "category", table["category"].cast(pa.string()))
    return table.sort_by([("customer_id", "ascending"), ("category", "ascending")])


def differing(one, other):
    """Columns in which two tables differ; a missing number equals a missing number."""
    pairs = {name: (one[name].to_numpy(), other[name].to_numpy()) for name in one.column_names}
    are_equal = {
        name: np.array_equal(*values, equal_nan=values[0].dtype == np.float64) for name, values in pairs.items()
    }
    return [name for name, is_equal in are_equal.items() if not is_equal]


def replaced(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


def renamed(ids):
    return pa.array([f"later-{identifier}" for identifier in ids.to_pylist()])


def test_outcomes_are_those_of_the_horizon(view, rows):
    days = 90
    table = pair_table(CategoryPairs.at(read_purchases(view), days), AS_OF).to_pylist()
    start = DAYS - days
    bought = {(who, what) for who, what, day, _ in rows if start <= day < start + 30}
    paid = {}
    for who, what, day, cents in rows:
        if start <= day < DAYS:
            paid[who, what] = paid.get((who, what), 0) + cents
    for row in table:
        pair = row["customer_id"], row["category"]
        assert row[CATEGORY_PURCHASE.name] == float(pair in bought)
        assert row[CATEGORY_SPEND.name] == paid.get(pair, 0)
    assert pair_table(CategoryPairs.at(read_purchases(view), 60), AS_OF)[CATEGORY_SPEND.name].null_count == len(
        pair_table(CategoryPairs.at(read_purchases(view), 60), AS_OF)
    )


def test_neither_the_order_of_rows_nor_ids_change_a_forecast(tmp_path, built, rows):
    shuffled = [rows[at] for at in np.random.default_rng(1).permutation(len(rows))]
    secret = {name: f"x{(number * 97) % 1009:04d}" for number, name in enumerate(sorted({row[0] for row in rows}))}
    other = shop_with(tmp_path / "w", *facts_of([(secret[one[0]], *one[1:]) for one in shuffled]))
    result = build_category_needs(other, limits_of(other))
    assert result.backtests.equals(built[0].backtests)
    assert other.read("category_forecasts").equals(built[2])
    back = {new: name for name, new in secret.items()}

    def of(table):
        return sorted(
            (back.get(row["customer_id"], row["customer_id"]), row["rank"], row["category"], row["probability"])
            for row in table.to_pylist()
        )

    assert of(other.read("category_needs")) == of(built[1])


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.name)
def test_learners_save_what_they_forecast_and_forecast_a_row_alone_as_among_many(question, learned, tmp_path):
    known, here = learned[question.name]
    for learner in LEARNERS[question.name]:
        fitted = learner.fit(known)
        many = float_column(fitted.predict(here), FORECAST)
        assert np.isfinite(many).all()
        assert many.min() >= 0
        assert not question.is_probability or many.max() <= 1
        alone = [float_column(fitted.predict(here.slice(place, 1)), FORECAST)[0] for place in range(0, len(many), 83)]
        assert np.array_equal(many[::83], alone)
        (tmp_path / learner.name).mkdir()
        fitted.save(tmp_path / learner.name)
        assert learner.fitted.load(tmp_path / learner.name).predict(here).equals(fitted.predict(here))


def test_baselines_are_those_that_the_question_names():
    for question in QUESTIONS:
        rules = {one.name for one in LEARNERS[question.name] if one.is_baseline}
        assert rules == set(question.baselines)
        assert question.default in {one.name for one in LEARNERS[question.name]}


def test_a_category_that_is_new_since_the_last_cutoff_is_scored(tmp_path, rows):
    new = [(f"c{number:03d}", "umbrellas", DAYS - 3.0, 2_000) for number in range(0, CUSTOMERS, 2)]
    shop = shop_with(tmp_path / "w", *facts_of(rows + new))
    assert build_category_needs(shop, limits_of(shop)).unanswered == ()
    found = [row for row in shop.read("category_needs").to_pylist() if row["category"] == "umbrellas"]
    assert len(found) > CUSTOMERS / 2
    assert all(0 <= row["probability"] <= 1 and row["expected_cents"] >= 0 for row in found)
    assert any(row["reason"] == "popular_now" for row in found)


def test_a_shop_with_one_category_has_one_need_a_customer(tmp_path, rows):
    shop = shop_with(tmp_path / "w", *facts_of([(who, "all", *rest) for who, _, *rest in rows]))
    assert build_category_needs(shop, limits_of(shop)).unanswered == ()
    needs = shop.read("category_needs")
    assert needs["category"].unique().to_pylist() == ["all"]
    assert needs.num_rows == CUSTOMERS


def test_a_shop_without_categories_or_history_says_why_and_has_no_row(tmp_path, rows):
    lines, orders = facts_of(rows)
    nothing = pa.nulls(lines.num_rows, pa.string())
    untold = shop_with(tmp_path / "none", replaced(lines, "category", nothing), orders)
    young = shop_with(tmp_path / "young", *facts_of([row for row in rows if row[2] > DAYS - 40]))
    for shop, why in ((untold, "no order line names a category"), (young, "no past cutoff could be evaluated")):
        result = build_category_needs(shop, limits_of(shop))
        assert why in result.unanswered[0]
        assert result.backtests.num_rows == shop.read("category_needs").num_rows == 0
        assert shop.read("category_forecasts").num_rows == 0
    result = build_category_needs(untold, [])
    assert "no forecast of purchase and value" in result.unanswered[0]


def test_no_category_is_likelier_than_an_order_and_all_cost_no_more_than_the_value(tmp_path, rows):
    shop = shop_with(tmp_path / "w", *facts_of(rows))
    build_category_needs(shop, limits_of(shop, chance=0.25, value=1_000.0))
    needs = shop.read("category_needs")
    assert pc.max(needs["probability"]).as_py() == 0.25
    sums = needs.group_by("customer_id").aggregate([("expected_cents", "sum")])["expected_cents_sum"].to_numpy()
    assert sums.max() <= 1_000
    assert sums.mean() > 500


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-10, 1e7), st.floats(-50, 1e7)), min_size=1, max_size=40))
def test_spend_by_category_never_adds_up_to_more_than_the_value(ones):
    value = {who: limit for who, _, limit in ones}
    table = pa.table({"sample_key": pa.array([who for who, *_ in ones], pa.int64())})
    limits = np.array([value[who] for who, *_ in ones])
    spend = np.array([cents for _, cents, _ in ones])
    found = spend_within(table, spend, limits)
    assert (found >= 0).all()
    assert (found <= np.maximum(spend, 0)).all()
    for who, limit in value.items():
        mine = np.array([one[0] == who for one in ones])
        assert found[mine].sum() <= max(limit, 0)
        if np.maximum(spend[mine], 0).sum() <= max(limit, 0):
            assert np.array_equal(found[mine], np.floor(np.maximum(spend[mine], 0)))


def test_equal_chances_are_ranked_by_what_they_bring():
    order, rank = best_first(np.array([7, 7, 3, 7]), np.array([0.5, 0.5, 0.1, 0.9]), np.array([10, 20, 5, 0]))
    assert order.tolist() == [2, 3, 1, 0]
    assert rank.tolist() == [1, 1, 2, 3]
