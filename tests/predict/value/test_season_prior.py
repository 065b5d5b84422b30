"""A calendar of the expected season: believed as far as the weeks after it bear it out, and never before its entry."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from patron.predict.value.season import Season
from patron.predict.value.season_prior import APART, USUAL, SeasonPrior, season_prior_at
from patron.storage.models.season_calendars import WEEK, SeasonCalendar, SeasonSpan

ENTERED = datetime(2026, 7, 6, 9, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 5, tzinfo=UTC)
FIRST_WEEK = date(2026, 3, 2)


def span(first, last, factor, confidence="likely"):
    return SeasonSpan(date.fromisocalendar(2026, first, 1), date.fromisocalendar(2026, last, 1), factor, confidence)


SUMMER_AND_CHRISTMAS = (span(28, 33, 0.6), span(34, 40, 1.2), span(41, 53, 1.8))


def calendar(*spans, at=ENTERED):
    return SeasonCalendar(at, "Ann", tuple(spans))


def weekly_orders(factor_of, seed=1, usual=400):
    """Orders of each week until autumn, usual ones times a factor of the week's number."""
    rng = np.random.default_rng(seed)
    mondays = [FIRST_WEEK + number * WEEK for number in range(31)]
    return {monday: int(rng.poisson(usual * factor_of(monday))) for monday in mondays}


def as_entered(monday):
    match = next((one for one in SUMMER_AND_CHRISTMAS if one.first_week <= monday < one.end), None)
    return match.factor if match else 1.0


def test_without_a_calendar_the_usual_season_is_assumed():
    assert season_prior_at([], weekly_orders(as_entered), AUTUMN) == SeasonPrior.usual()


def test_a_calendar_moves_the_months_that_it_covers_and_makes_them_surer():
    prior = season_prior_at([calendar(*SUMMER_AND_CHRISTMAS)], {}, ENTERED)
    assert prior.logs[10] > USUAL[10] + 0.2
    assert prior.spreads[10] < APART[10]
    assert prior.spreads[3] == APART[3]
    assert prior.logs[3] < USUAL[3], "what November brings more, April brings less"


@pytest.mark.parametrize("confidence", ["sure", "likely", "guess"])
def test_no_confidence_moves_a_month_past_what_people_said(confidence):
    prior = season_prior_at([calendar(span(45, 48, 2.0, confidence))], {}, ENTERED)
    assert USUAL[10] < prior.logs[10] < np.log(2.0)


def test_who_is_surer_is_believed_more():
    logs = [season_prior_at([calendar(span(45, 48, 2.0, word))], {}, ENTERED).logs[10] for word in ("guess", "sure")]
    assert logs[0] < logs[1]


def test_weeks_that_came_as_entered_bear_a_calendar_out():
    prior = season_prior_at([calendar(*SUMMER_AND_CHRISTMAS)], weekly_orders(as_entered), AUTUMN)
    assert prior.trust > 0.85


def test_weeks_without_a_season_refute_a_calendar():
    """A summer that was entered at .6 of the usual came as usual: so the Christmas is believed less, too."""
    flat = season_prior_at([calendar(*SUMMER_AND_CHRISTMAS)], weekly_orders(lambda _: 1.0), AUTUMN)
    true = season_prior_at([calendar(*SUMMER_AND_CHRISTMAS)], weekly_orders(as_entered), AUTUMN)
    assert flat.trust < 0.3
    assert flat.logs[11] < true.logs[11] - 0.1
    assert Season.assumed(flat).level(AUTUMN) < Season.assumed(true).level(AUTUMN)
    assert flat.spreads[11] > true.spreads[11], "what is not believed makes nothing surer"
    assert flat.spreads[11] == pytest.approx(APART[11], rel=0.2)


def test_a_shop_that_grows_is_not_taken_for_its_season():
    def grown(monday):
        return as_entered(monday) * 1.03 ** ((monday - FIRST_WEEK) / WEEK)

    prior = season_prior_at([calendar(*SUMMER_AND_CHRISTMAS)], weekly_orders(grown), AUTUMN)
    assert prior.trust > 0.8


def test_what_is_entered_after_a_cutoff_is_not_known_at_it():
    orders = weekly_orders(as_entered)
    later = calendar(*SUMMER_AND_CHRISTMAS, at=AUTUMN + timedelta(seconds=1))
    assert season_prior_at([later], orders, AUTUMN) == SeasonPrior.usual()
    first = calendar(span(45, 48, 2.0))
    assert season_prior_at([first, later], orders, AUTUMN) == season_prior_at([first], orders, AUTUMN)


def test_orders_after_a_cutoff_change_nothing():
    orders = weekly_orders(as_entered)
    cutoff = AUTUMN - 4 * WEEK
    known = {monday: count for monday, count in orders.items() if monday + WEEK <= cutoff.date()}
    calendars = [calendar(*SUMMER_AND_CHRISTMAS)]
    assert season_prior_at(calendars, orders, cutoff) == season_prior_at(calendars, known, cutoff)


def test_a_week_is_judged_by_the_calendar_that_was_entered_before_it():
    """Entering what came, afterwards, does not make an owner who was wrong one who was right."""
    orders = weekly_orders(lambda monday: 1.6 if monday >= date(2026, 7, 6) else 1.0)
    wrong = calendar(span(28, 40, 0.6))
    corrected = calendar(span(28, 40, 1.6), span(41, 53, 1.8), at=AUTUMN - timedelta(days=1))
    assert season_prior_at([wrong, corrected], orders, AUTUMN).trust < 0.3


def test_a_removed_calendar_counts_no_more():
    removed = calendar(at=ENTERED + WEEK)
    assert season_prior_at([calendar(*SUMMER_AND_CHRISTMAS), removed], {}, AUTUMN) == SeasonPrior.usual()


def test_a_prior_survives_its_column():
    prior = season_prior_at([calendar(*SUMMER_AND_CHRISTMAS)], weekly_orders(as_entered), AUTUMN)
    table = pa.table({"season_prior": pa.array([prior.to_text()] * 3).dictionary_encode()})
    assert SeasonPrior.from_rows(table) == prior
    assert SeasonPrior.from_rows(pa.table({"x": [1]})) == SeasonPrior.usual()
