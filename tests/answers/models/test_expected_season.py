"""The season that people entered, next to what came in its weeks."""

from datetime import UTC, datetime

from patron.answers.models.expected_season import show_expected_season
from patron.commands.models.enter_season import enter_season
from patron.govern.access.request_context import RequestContext
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop

ENTERED = datetime(2017, 8, 28, 9, tzinfo=UTC)
LINES = "2017-W36,2017-W37,1.2,sure\n2017-W38,2017-W39,0.8,guess\n2017-W45,2017-W52,1.5"


def enter(shop, text, now=ENTERED):
    enter_season(RequestContext.from_name(shop, "Ann", now=now), text)


def orders_between(shop, first, last):
    """Orders of the days from a first to before a last, a week."""
    query = "select count(*) as n from orders where local_day >= {} and local_day < {}"
    days = [(datetime.fromisoformat(text) - datetime(1970, 1, 1)).days for text in (first, last)]  # noqa: DTZ001 - local
    return last_run(shop).query(query.format(*days))["n"][0].as_py() / ((days[1] - days[0]) / 7)


def test_weeks_that_are_over_show_what_came_next_to_the_weeks_before_the_entry(shop_without_season):
    enter(shop_without_season, LINES)
    season = show_expected_season(AnswerCache(shop_without_season))
    assert [(one.first_week, one.weeks_over, one.week_count) for one in season.weeks] == [
        ("2017-W36", 2, 2),
        ("2017-W38", 1, 2),
        ("2017-W45", 0, 8),
    ]
    first, second, third = season.weeks
    assert first.orders_per_week == orders_between(shop_without_season, "2017-09-04", "2017-09-18") > 0
    assert second.orders_per_week == orders_between(shop_without_season, "2017-09-18", "2017-09-25")
    assert third.orders_per_week is None
    assert season.orders_per_week_before == orders_between(shop_without_season, "2017-07-03", "2017-08-28") > 0
    assert season.is_known_to_run
    assert not season.is_observed


def test_nobody_entered_one(shop_without_season):
    season = show_expected_season(AnswerCache(shop_without_season))
    assert (season.entered_at, season.weeks, season.orders_per_week_before) == (None, (), None)
    assert not season.is_known_to_run


def test_a_season_that_was_removed_has_no_weeks_and_says_by_whom(shop_without_season):
    enter(shop_without_season, LINES)
    enter(shop_without_season, "", ENTERED.replace(hour=10))
    season = show_expected_season(AnswerCache(shop_without_season))
    assert (season.entered_by, season.weeks) == ("Ann", ())


def test_a_shop_without_a_run_shows_what_was_entered(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shop = Shop.create(tmp_path / "w")
    enter(shop, LINES)
    season = show_expected_season(AnswerCache(shop))
    assert [one.weeks_over for one in season.weeks] == [0, 0, 0]
    assert season.run_as_of is None
    assert season.orders_per_week_before is None
    shop.close()
