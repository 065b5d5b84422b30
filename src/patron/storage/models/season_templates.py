"""Calendars to begin with, where a shop does not know its own season: what its kind of shop sells by month.

Factors of the year's mean are those of the United States Census Bureau, Monthly Retail Trade, combined seasonal,
trading-day and holiday factors, February 2012 to January 2013: of sporting goods, hobby, book and music stores (NAICS
451) for presents, of clothing stores (448) for fashion, of food and beverage stores (445) for food.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Final

from patron.storage.models.season_calendars import WEEK, SeasonSpan, monday_of

SOURCE: Final = "U.S. Census Bureau, Monthly Retail Trade, seasonal factors, February 2012 to January 2013"
TEMPLATES: Final[Mapping[str, Sequence[float]]] = {
    "presents": (0.957, 0.831, 0.953, 0.871, 0.922, 0.971, 0.911, 1.157, 0.938, 0.854, 1.042, 1.601),
    "fashion": (0.753, 0.892, 1.004, 0.953, 1.010, 0.943, 0.914, 1.033, 0.914, 0.942, 1.097, 1.557),
    "food": (0.978, 0.945, 1.012, 0.974, 1.036, 1.011, 1.009, 1.025, 0.970, 0.988, 1.004, 1.078),
}
"""Factors of January to December, by kind of shop."""
CONFIDENCE_OF_TEMPLATES: Final = "guess"
"""A shop is not its trade."""
WEEKS: Final = 52


def template_spans(name: str, today: date) -> tuple[SeasonSpan, ...]:
    """A template's weeks from this one on, for a year. Raises KeyError for no template."""
    weeks = [monday_of(today) + number * WEEK for number in range(WEEKS)]
    spans = []
    # why: a week is of the month that its Thursday is in, as calendars number weeks
    for month, same in groupby(weeks, key=lambda week: (week + timedelta(days=3)).month):
        of_month = list(same)
        factor = round(TEMPLATES[name][month - 1], 2)
        spans.append(SeasonSpan(of_month[0], of_month[-1], factor, CONFIDENCE_OF_TEMPLATES))
    return tuple(spans)
