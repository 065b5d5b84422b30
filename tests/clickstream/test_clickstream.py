"""Visits as they happen: features know the past only, and every learner keeps the promises of learners."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import clicks

from patron.clickstream import (
    EVENT_KINDS,
    FEATURES,
    LEARNERS,
    MAX_EVENTS,
    ORDER,
    Session,
    SessionEvent,
    VisitorHistory,
    features_after,
    rows_of,
    training_rows,
)
from patron.schema.errors import NotEnoughData
from patron.schema.models.metrics import AUC, LOG_LOSS
from patron.schema.models.questions import SESSION_CONVERSION
from patron.schema.numbers import float_column
from patron.understand.facts.interactions import AWAY_FROM_THE_SHOP, KINDS

FORECAST = "forecast"
every_learner = pytest.mark.parametrize("learner", LEARNERS, ids=[learner.name for learner in LEARNERS])
event_lists = st.lists(
    st.tuples(st.integers(0, 1_000), st.sampled_from(EVENT_KINDS), st.sampled_from(["a", "b", None])), min_size=1
)


def in_time(parts):
    times = np.cumsum([float(gap) for gap, _, _ in parts])
    return [SessionEvent(float(at), kind, product) for at, (_, kind, product) in zip(times, parts, strict=True)]


NOBODY = VisitorHistory()


def named(events, history=NOBODY):
    return dict(zip(FEATURES, features_after(events, history), strict=True))


@pytest.fixture(scope="module")
def rows():
    return training_rows(clicks(1_500))


@pytest.fixture(scope="module")
def later():
    return training_rows(clicks(600, seed=4))


def test_the_kinds_are_all_that_happens_in_a_shop_and_no_other():
    assert set(EVENT_KINDS) == set(KINDS.values()) - set(AWAY_FROM_THE_SHOP) | {ORDER}
    assert len(set(EVENT_KINDS)) == len(EVENT_KINDS)


def test_features_say_what_happened():
    events = [
        SessionEvent(100, "view", "a"),
        SessionEvent(110, "cart_add", "a"),
        SessionEvent(115, "cart_add", "b"),
        SessionEvent(120, "cart_remove", "b"),
        SessionEvent(150, "view", "a"),
    ]
    row = named(events, VisitorHistory(is_known=True, order_count=2, last_order_at_seconds=100 - 86_400 * 3))
    assert (row["event_count"], row["view_count"], row["cart_add_count"]) == (5, 2, 2)
    assert (row["seconds_in_visit"], row["seconds_since_previous_event"], row["seconds_since_cart_add"]) == (50, 30, 35)
    assert (row["cart_product_count"], row["has_cart"], row["is_last_product_in_cart"]) == (1, 1, 1)
    assert (row["product_count"], row["repeat_view_count"], row["views_of_last_product"]) == (2, 1, 2)
    assert (row["is_known"], row["earlier_order_count"], row["days_since_last_order"]) == (1, 2, 3)
    assert (row["last_type"], row["last_3_types"]) == ("view", "cart_add>cart_remove>view")


def test_an_order_empties_the_cart():
    row = named([SessionEvent(1, "cart_add", "a"), SessionEvent(2, ORDER), SessionEvent(3, "view", "a")])
    assert (row["has_cart"], row["seconds_since_cart_add"], row["last_3_types"]) == (0, None, "cart_add>order>view")


def test_the_first_event_has_nothing_before_it():
    row = named([SessionEvent(5, "page")])
    assert (row["seconds_in_visit"], row["seconds_since_previous_event"]) == (0, None)
    assert (row["last_type"], row["last_3_types"]) == ("page", "^>^>page")


@settings(deadline=None)
@given(event_lists)
def test_what_was_before_the_newest_events_changes_nothing(parts):
    events = in_time(parts * (MAX_EVENTS // len(parts) + 1))
    assert features_after(events, VisitorHistory()) == features_after(events[-MAX_EVENTS:], VisitorHistory())


@settings(deadline=None)
@given(event_lists, st.integers(1, 9))
def test_rows_are_the_features_of_prefixes_and_say_whether_an_order_came(parts, most):
    events = in_time(parts)
    table = training_rows([Session("c", events)], most_prefixes=most)
    if all(event.kind == ORDER for event in events):
        assert table.num_rows == 0
        return
    assert sum(table["weight"].to_pylist()) == pytest.approx(1)
    assert 1 <= table.num_rows <= most
    lengths = [at for at in range(1, len(events) + 1) if not only_orders(events[:at])]
    wanted = set()
    for length in lengths:
        comes = float(any(event.kind == ORDER for event in events[length:]))
        wanted.add((*features_after(events[:length], NOBODY), comes, events[length - 1].at_seconds))
    columns = (table[name].to_pylist() for name in (*FEATURES, "label", "as_of"))
    chosen = list(zip(*columns, strict=True))
    assert set(chosen) <= wanted
    assert len(lengths) > most or len(chosen) == len(lengths)


def only_orders(events):
    return all(event.kind == ORDER for event in events)


@every_learner
def test_every_row_gets_one_probability(learner, rows, later):
    forecast = float_column(learner.fit(rows).predict(later), FORECAST)
    assert len(forecast) == later.num_rows
    assert ((forecast > 0) & (forecast < 1)).all()


@every_learner
def test_one_row_alone_gets_the_forecast_it_gets_among_many(learner, rows):
    fitted = learner.fit(rows)
    sessions = clicks(60, seed=5)
    prefixes = [features_after(session.events, session.history) for session in sessions]
    many = fitted.predict(rows_of(prefixes))[FORECAST].to_pylist()
    assert [fitted.probability(row) for row in prefixes] == many


@every_learner
def test_a_saved_model_forecasts_the_same_bits(learner, rows, later, tmp_path):
    fitted = learner.fit(rows)
    fitted.save(tmp_path)
    assert learner.fitted.load(tmp_path).predict(later).equals(fitted.predict(later))
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".npz", ".txt"}


@every_learner
def test_the_same_rows_give_the_same_model(learner, rows, later):
    assert learner.fit(rows).predict(later).equals(learner.fit(rows).predict(later))


@every_learner
def test_a_learner_beats_the_base_rate_on_later_visits(learner, rows, later):
    actual, weight = float_column(later, "label"), float_column(later, "weight")
    reached = LOG_LOSS.of(actual, float_column(learner.fit(rows).predict(later), FORECAST), weight)
    base = LOG_LOSS.of(actual, np.full(len(actual), np.average(actual, weights=weight)), weight)
    assert reached < base if learner.name != "base_rate" else reached == pytest.approx(base, rel=0.02)


@every_learner
def test_too_few_visits_are_refused(learner, rows):
    with pytest.raises(NotEnoughData) as refused:
        learner.fit(rows.slice(0, 50))
    assert refused.value.todo
    never = rows.set_column(rows.column_names.index("label"), "label", pa.array(np.zeros(rows.num_rows)))
    with pytest.raises(NotEnoughData):
        learner.fit(never)


def test_models_are_better_than_every_rule_where_history_and_carts_both_matter(rows, later):
    actual, weight = float_column(later, "label"), float_column(later, "weight")
    reached = {
        learner.name: AUC.of(actual, float_column(learner.fit(rows).predict(later), FORECAST), weight)
        for learner in LEARNERS
    }
    rules = max(value for name, value in reached.items() if name in SESSION_CONVERSION.baselines)
    assert min(reached["logistic"], reached["boosted_order"]) > rules + 0.02


def test_probabilities_are_right_on_average(rows, later):
    actual, weight = float_column(later, "label"), float_column(later, "weight")
    for learner in LEARNERS:
        forecast = float_column(learner.fit(rows).predict(later), FORECAST)
        assert np.average(forecast, weights=weight) == pytest.approx(np.average(actual, weights=weight), abs=0.05)


def test_baselines_are_those_of_the_question():
    assert tuple(learner.name for learner in LEARNERS if learner.is_baseline) == SESSION_CONVERSION.baselines
    assert SESSION_CONVERSION.default in {learner.name for learner in LEARNERS}
    assert all(replace(learner) == learner for learner in LEARNERS)


def test_rows_of_a_long_visit_are_spread_over_it():
    events = in_time([(10, "view", "a")] * 60)
    lengths = [int(at / 10) for at in training_rows([Session("c", events)])["as_of"].to_pylist()]
    assert len(lengths) == 6
    assert {later - earlier for earlier, later in pairwise(lengths)} == {10}
