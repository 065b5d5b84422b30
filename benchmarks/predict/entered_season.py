"""First autumns with and without a calendar of the season that people entered: the total's error, and its interval.

Usage: python benchmarks/predict/entered_season.py FOLDER [SHOPS=6] (online_retail_2010_2011 as Parquet). Shops are made
that open in January and have an autumn of x1 to x2 the usual; a calendar is entered two months before the cutoff.
`right` is off by 15 % at random, `flat` says that there is no season, `wrong` expects the peak in summer; templates are
those of the console. Then Online Retail, whose autumn is a gift shop's.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import sqlalchemy as sa
import two_christmases
from past_forecasts import here, past_shop
from value_on_real_data import SOURCES

from patron.commands.models.enter_season import read_spans
from patron.estimators.learner import FORECAST
from patron.predict.value.buyer_spend import StackedSpend
from patron.predict.value.probability_times_spend import ProbabilityTimesSpend
from patron.schema.models.questions import VALUE
from patron.schema.numbers import float_column
from patron.storage.models.season_calendars import SeasonSpan
from patron.storage.models.season_tables import SEASON_CALENDARS
from patron.storage.models.season_templates import TEMPLATES, template_spans
from patron.storage.shop import Shop

OPENED = datetime(2023, 1, 9)  # noqa: DTZ001 - the shop's own calendar
CUTOFFS = [datetime(2023, 8, 28, tzinfo=UTC), datetime(2023, 10, 2, tzinfo=UTC), datetime(2023, 11, 6, tzinfo=UTC)]
PEAKS = (1.0, 2.0)
RETAIL = "online_retail_2010_2011"
AUTUMN_2011 = [datetime(2011, 8, 1, tzinfo=UTC), datetime(2011, 8, 29, tzinfo=UTC), datetime(2011, 9, 9, tzinfo=UTC)]
ENTERED_BEFORE = timedelta(days=60)
Calendars = Mapping[str, tuple[SeasonSpan, ...]]


def main(folder: Path, shops: int = 6) -> None:
    off: dict[str, list[float]] = {}
    held: dict[str, list[bool]] = {}
    two_christmases.START = OPENED
    for name, source, cutoffs, calendars in cases(folder, shops):
        for cutoff in cutoffs:
            for kind, spans in calendars(cutoff).items():
                bias, is_held, trust = forecast_at(source, cutoff, spans)
                off.setdefault(f"{name.split()[0]} {kind}", []).append(bias)
                held.setdefault(f"{name.split()[0]} {kind}", []).append(is_held)
                believed = "" if trust is None else f", believed to {trust:.2f}"
                print(
                    f"  {name} {cutoff:%Y-%m-%d} {kind:8} {bias:+.1%} {'holds' if is_held else 'MISSES'}{believed}",
                    flush=True,
                )
    for kind, shares in off.items():
        size, inside = np.abs(shares).mean(), sum(held[kind])
        bias = f"mean size of bias {size:.1%}, mean {np.mean(shares):+.1%}"
        print(f"{kind:24} {bias}; intervals hold {inside} of {len(shares)}")


def cases(folder: Path, shops: int) -> Iterator[tuple]:
    """Each shop's name, its order lines in SQL, cutoffs, and the calendars that are entered for one."""
    with tempfile.TemporaryDirectory() as made:
        for seed in range(shops):
            peak = float(np.linspace(*PEAKS, shops)[seed]) if shops > 1 else PEAKS[1]
            file = Path(made) / f"{seed}.parquet"
            pq.write_table(two_christmases.order_lines(seed + 70, peak), file)
            source = two_christmases.LINES.format(file=file)
            yield (
                f"made x{peak:.1f} {seed}",
                source,
                CUTOFFS,
                lambda cutoff, seed=seed, peak=peak: made_calendars(cutoff, seed, peak),
            )
    file = folder / f"{RETAIL}.parquet"
    yield RETAIL, SOURCES[RETAIL].format(file=file), AUTUMN_2011, retail_calendars


def made_calendars(cutoff: datetime, seed: int, peak: float) -> Calendars:
    """Calendars of a made shop: the truth of its weeks, roughly, and worse ones."""
    rng = np.random.default_rng([seed, cutoff.toordinal()])
    truth = true_factors(seed + 70, peak)
    mondays = [monday for monday in truth if entered_at(cutoff).date() <= monday < date(2024, 1, 10)]
    weeks = {monday: truth[monday] * np.exp(rng.normal(0, 0.15)) for monday in mondays}
    return {
        "none": (),
        "right": spans_of(weeks, "likely"),
        "flat": spans_of(dict.fromkeys(mondays, 1.0), "likely"),
        "wrong": spans_of({monday: 2.0 if monday.month in (8, 9) else 0.8 for monday in mondays}, "likely"),
        "presents": template_spans("presents", entered_at(cutoff).date()),
    }


def retail_calendars(cutoff: datetime) -> Calendars:
    """What the owner of a shop of presents may know, and the templates."""
    autumn = "2011-W36,2011-W39,1.2,likely\n2011-W40,2011-W43,1.3,likely"
    known = f"{autumn}\n2011-W44,2011-W49,1.6,likely\n2011-W50,2011-W52,0.8,guess"
    of_templates = {name: template_spans(name, entered_at(cutoff).date()) for name in TEMPLATES}
    return {"none": (), "owner": read_spans(known, entered_at(cutoff).date())} | of_templates


def true_factors(seed: int, peak: float) -> Mapping[date, float]:
    """What each week brings against the year's mean, as `order_lines` draws it."""
    rng = np.random.default_rng(seed)
    days = [OPENED.date() + timedelta(days=day) for day in range(two_christmases.DAYS)]
    away = (np.array([day.timetuple().tm_yday for day in days]) - 338 + 182) % 365 - 182
    season = 1 + 1.35 * (peak - 1) * np.exp(-0.5 * (away / rng.uniform(18, 32)) ** 2)
    season /= season[:365].mean()
    return {day: float(season[n : n + 7].mean()) for n, day in enumerate(days) if day.weekday() == 0}


def spans_of(weeks: Mapping[date, float], confidence: str) -> tuple[SeasonSpan, ...]:
    """A span for each week."""
    return tuple(SeasonSpan(monday, monday, round(factor, 2), confidence) for monday, factor in weeks.items())


def entered_at(cutoff: datetime) -> datetime:
    """When people entered the calendar."""
    return cutoff - ENTERED_BEFORE


def forecast_at(source: str, cutoff: datetime, spans: tuple[SeasonSpan, ...]) -> tuple[float, bool, float | None]:
    """By how much the forecast total is off, as a share, whether its interval holds what came, and the belief."""
    with tempfile.TemporaryDirectory() as folder:
        shop = past_shop(source, cutoff, Path(folder) / "w")
        if spans:
            opened = Shop.open(Path(folder) / "w")
            entry = {"entered_at": entered_at(cutoff), "entered_by": "Ann", "spans": [span.row for span in spans]}
            with opened.store.begin() as connection:
                connection.execute(sa.insert(SEASON_CALENDARS), [entry])
            opened.close()
        known = shop.known(VALUE)
        champion = ProbabilityTimesSpend(StackedSpend()).fit(known)
        came = float(shop.actual(VALUE, here(known)).sum())
        forecast = float(float_column(champion.predict(here(known)), FORECAST).sum())
        total = champion.total
        is_held = total.low_cents <= came <= total.high_cents
        return forecast / came - 1, is_held, champion.history.season.trust


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
