"""How the expected season looks in a terminal."""

from typing import TYPE_CHECKING

from patron.answers.models.expected_season import show_expected_season
from patron.interfaces.cli import output
from patron.interfaces.console.models.season_texts import season_sentences
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words

if TYPE_CHECKING:
    from patron.commands.models.enter_season import EnteredSeason
    from patron.storage.runs.answer_cache import AnswerCache

HEAD = ("weeks", "factor", "confidence", "weeks over", "orders per week")


def show_season(cache: "AnswerCache", *, json: bool) -> None:
    """Show what people expect of the weeks to come, and what came of those that are over."""
    season, settings = show_expected_season(cache), cache.shop.settings.shop
    if json:
        output.as_json(season)
        return
    rows = [
        (
            f"{one.first_week} to {one.last_week}",
            f"{one.factor:g}",
            one.confidence,
            f"{one.weeks_over} of {one.week_count}",
            "" if one.orders_per_week is None else f"{one.orders_per_week:.1f}",
        )
        for one in season.weeks
    ]
    if rows:
        output.grid("Expected season (factors of an average week)", HEAD, rows)
    for sentence in season_sentences(season, words("en"), Formats("en", settings.currency, settings.time_zone)):
        output.say(sentence)


def show_entered_season(entered: "EnteredSeason", *, json: bool) -> None:
    """Say that a season was entered, or removed."""
    count = entered.span_count
    text = f"Entered: {count} {'line' if count == 1 else 'lines'}." if count else "The season is removed."
    output.answer(entered, f"{text} The next `patron run` with a later cutoff uses it.", json=json)
