"""The mixture for sequences: which part speaks is learned, and each part where it is the one that matters."""

import numpy as np
from made_interactions import follows_after, returns, steps, table_of

from patron.recommenders import CoVisitation, TransitionMixture, evaluate, split
from patron.recommenders.neighbours.transition_mixture import most_likely_shares

NEAR, ONE_STEP, TWO_STEPS, THREE_STEPS, LAST_ROW, ROW_BEFORE = range(6)
"""Places of the first shares."""


def gain_over_co_visitation(rows):
    train, test = split(rows, "leave-last")
    learners = {"co_visitation": CoVisitation(), "mixture": TransitionMixture()}
    return evaluate(train, test, learners, exclude_seen=False).to_pylist()[1]["ndcg_cut_gain_low"]


def test_what_follows_after_two_steps_is_seen_where_the_last_item_says_nothing():
    fitted = TransitionMixture().fit(follows_after(2))
    assert np.argmax(fitted.shares) == TWO_STEPS
    assert gain_over_co_visitation(follows_after(2)) > 0.1


def test_where_each_item_leads_to_the_next_one_step_back_is_enough():
    fitted = TransitionMixture().fit(steps())
    assert np.argmax(fitted.shares) == ONE_STEP
    assert gain_over_co_visitation(steps()) > 0


def test_users_who_come_back_to_their_own_items_are_shown_them():
    rows = returns()
    assert np.argmax(TransitionMixture().fit(rows).shares) == ROW_BEFORE
    assert gain_over_co_visitation(rows) > 0.05


def test_a_new_user_is_shown_what_follows_and_an_unknown_one_what_is_popular():
    rows = steps()
    fitted = TransitionMixture().fit(rows)
    stranger = fitted.fold_in(table_of(np.array([900]), np.array([3]), np.array([0])))
    assert stranger.recommend(["u900"], 1)["item_id"].to_pylist() == ["i004"]
    nobody = fitted.recommend(["nobody"], 3)["item_id"].to_pylist()
    assert nobody == fitted.catalogue.items.take(fitted.catalogue.popular[:3]).to_pylist()


def test_shares_are_those_of_the_mixture_that_the_rows_were_drawn_from():
    rng = np.random.default_rng(0)
    explained = rng.random(20_000) < 0.7
    chances = np.where(explained[:, None], [[0.9, 0.1, 0.0]], [[0.1, 0.9, 0.0]])
    is_as_said = rng.random(20_000) < 0.9
    chances = np.where(is_as_said[:, None], chances, chances[:, [1, 0, 2]])
    shares = most_likely_shares(chances)
    assert abs(shares[0] - 0.7) < 0.02
    assert shares[2] < 0.001
    assert shares.sum() == 1
    assert most_likely_shares(np.zeros((5, 4))).tolist() == [0.25] * 4
