from dataclasses import replace

import numpy as np

from patron.measure.assignment_checks import assignment_rows


def alarms(outcomes, share=0.1):
    return {row["assignment"] for row in assignment_rows(outcomes, holdout_share=share) if row["is_alarm"]}


def test_a_sound_assignment_rings_no_alarm(world):
    rows = assignment_rows(world(2_000), holdout_share=0.1)
    assert [(row["assignment"], row["arm"]) for row in rows] == [
        ("holdout", "holdout"),
        ("holdout", "reachable"),
        ("actions", "ten"),
        ("actions", "none"),
    ]
    assert [row["decision_count"] for row in rows[:2]] == [200, 1_800]  # customers, not decisions
    assert not any(row["is_alarm"] for row in rows)
    assert sum(row["expected_decisions"] for row in rows[2:]) == np.round(
        sum(row["decision_count"] for row in rows[2:])
    )


def test_a_holdout_that_loses_customers_rings(world):
    drawn = world(2_000)
    is_lost = drawn.is_holdout & (np.arange(len(drawn.run)) % 3 == 0)
    assert alarms(drawn.rows(~is_lost)) == {"holdout"}
    assert alarms(drawn, share=0.2) == {"holdout"}


def test_offers_that_are_not_given_as_often_as_logged_ring(world):
    drawn = world(2_000)
    is_dropped = (drawn.action == "ten") & (np.arange(len(drawn.run)) % 5 == 0)
    assert alarms(replace(drawn, action=np.where(is_dropped, "none", drawn.action))) == {"actions"}


def test_alarms_are_as_rare_as_their_level_says(world):
    rung = [bool(alarms(world(300, seed))) for seed in range(100)]
    assert sum(rung) <= 2


def test_nothing_is_checked_without_customers_or_without_a_holdout(world):
    drawn = world(100)
    assert assignment_rows(drawn.rows(np.zeros(300, dtype=bool)), holdout_share=0.1) == []
    rows = assignment_rows(drawn.rows(~drawn.is_holdout), holdout_share=0.0)
    assert {row["assignment"] for row in rows} == {"actions"}
