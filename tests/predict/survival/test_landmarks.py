"""Landmarks of a few customers, counted by hand."""

from datetime import timedelta

import pytest
from leaving_shop import RUN, write_shop

from patron.predict.survival.landmarks import active_customers, read_landmarks


def days_ago(days, hours=1):
    return RUN.as_of - timedelta(days=days) + timedelta(hours=hours)


@pytest.fixture(scope="module")
def landmarks(tmp_path_factory):
    orders = [(0, days_ago(days)) for days in range(720, 0, -20)]  # stays
    orders += [(1, days_ago(days)) for days in (700, 350, 320, 290)]  # left: nothing after 290 days ago
    orders += [(2, days_ago(700)), (2, days_ago(365)), (2, days_ago(340), days_ago(5))]  # one known late
    view = write_shop(tmp_path_factory.mktemp("landmarks") / "w", orders, churn={})
    return view, read_landmarks(view, days_ago(720))


def lifetimes(rows):
    """By landmark, customers' order days there, and what became of them."""
    return {(row["back"], row["order_days"], row["periods"], row["left"]) for row in rows.to_pylist()}


def test_a_customer_leaves_with_the_third_empty_period(landmarks):
    """From 330 days back: orders in two periods, none in the next three, two of them after the first 90 days."""
    _, all_landmarks = landmarks
    assert (11, 2, 2, True) in lifetimes(all_landmarks.since(12))


def test_at_an_origin_only_what_was_known_there_counts(landmarks):
    """The pause of the one who left began 289 days ago: 210 days back two of its periods are over, then three."""
    _, all_landmarks = landmarks
    assert (11, 2, 1, False) in lifetimes(all_landmarks.known_at(7))
    assert (11, 2, 2, True) in lifetimes(all_landmarks.known_at(6))


def test_who_stays_is_followed_until_the_end(landmarks):
    _, all_landmarks = landmarks
    found = sorted(row for row in lifetimes(all_landmarks.since(12)) if row[1] > 10)
    assert [(back, periods, left) for back, _, periods, left in found] == [
        (10, 7, False),
        (11, 8, False),
        (12, 9, False),
    ]


def test_an_order_counts_from_when_it_is_known(landmarks):
    """Ordered 340 days ago and known for five: 330 days back it is not known, and the last order was 34 days before."""
    _, all_landmarks = landmarks
    rows = [row for row in all_landmarks.rows.to_pylist() if row["back"] == 11]
    assert sorted((row["order_days"], row["days_since_last_order"]) for row in rows) == [(2, 19), (2, 34), (20, 9)]


def test_today_only_active_customers_are_followed_on(landmarks):
    view, _ = landmarks
    active = active_customers(view).to_pylist()
    assert [row["customer_id"] for row in active] == ["c000"]
    assert active[0]["order_days"] == 36
    assert active[0]["order_days_90"] == 4
    assert active[0]["mean_days_between_order_days"] == 20
