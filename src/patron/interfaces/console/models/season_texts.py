"""What became of the season that people entered, in the reader's language."""

from collections.abc import Iterator

from patron.answers.models.expected_season import ExpectedSeason
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words


def season_sentences(season: ExpectedSeason, words: Words, formats: Formats) -> Iterator[str]:
    """Who entered it, whether the last run knew it and how far it believed it, and what it is compared with."""
    if season.entered_at is None or not season.weeks:
        yield words("season.none" if season.entered_at is None else "season.removed")
    else:
        yield words("season.entered", name=season.entered_by, date=formats.date(season.entered_at))
    if season.entered_at is not None and season.run_as_of is not None and not season.is_known_to_run:
        yield words("season.waiting", date=formats.time(season.run_as_of))
    elif season.weeks and season.trust is not None:
        over = sum(one.weeks_over for one in season.weeks)
        yield words("season.trust", n=over, count=formats.count(over), share=formats.share(season.trust, 0))
    if season.is_observed:
        yield words("season.observed")
    if season.weeks and season.orders_per_week_before is not None:
        yield words("season.before", orders=formats.number(season.orders_per_week_before, 1))
