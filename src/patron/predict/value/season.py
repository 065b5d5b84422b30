"""The shop's season: what each month brings against the year's mean, from its own past where that is a year.

A month's factor is estimated together with how customers come and go, by a seasonal Pareto/NBD: a January after a busy
December is no busy January. One year is one draw, so what a year showed is believed as far as months differ more from
shop to shop than from year to year; what is left of the doubt is in every interval. A shop with less than a year has
the season that is assumed of any shop, and the doubt about that.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
import pyarrow as pa

from patron.clv import Calendar, SeasonalParetoNBD
from patron.clv.covariate_calendar import at_orders_column
from patron.predict.value.season_prior import MONTH_COUNT, SeasonPrior
from patron.schema.models.questions import VALUE
from patron.schema.numbers import Numbers
from patron.storage.models.season_calendars import EPOCH

HORIZON_DAYS = VALUE.horizon_days
YEAR_TO_YEAR = 0.05
"""Standard deviation of the logarithm of a month between the years of one shop."""
OF_NEW_CUSTOMERS = 0.5
"""That of a month in which all customers are new, and in others nobody is: how they slow down looks like a season."""
NEW_DAYS = 90
"""Days since the first order in which a customer is new."""
YEAR_DAYS = 365
MAX_CUSTOMERS = 5_000
"""Customers that the months are estimated from: of more, the first; the doubt left is that from year to year."""
SEASON = "season"
"""The calendar's covariate: the logarithm of the month's factor."""


@dataclass(frozen=True)
class Season:
    """Logarithms of the factors of January to December, how far each may be off, and whether the shop has shown it."""

    logs: tuple[float, ...]
    spreads: tuple[float, ...]
    """Standard deviations of the logarithms."""
    is_observed: bool
    trust: float | None = None
    """How far the calendar that people entered is believed, 0 to 1; None without one."""

    @classmethod
    def assumed(cls, prior: SeasonPrior) -> Self:
        """The season of a shop that has not shown its own."""
        return cls(prior.logs, prior.spreads, is_observed=False, trust=prior.trust)

    @classmethod
    def of(cls, summary: pa.Table, order_days: Numbers, prior: SeasonPrior) -> Self:
        """The season of a summary with `first_day`, and of each customer's repeat order days by month, 12 columns."""
        first, last = summary["first_day"].to_numpy(), summary["first_day"].to_numpy() + summary["recency"].to_numpy()
        # why until the last order: a shop that has been silent since then has shown nothing
        years = float(np.max(last, initial=0.0) - np.min(first, initial=np.inf)) / YEAR_DAYS if len(first) else 0.0
        if years < 1:
            return cls.assumed(prior)
        summary, order_days = summary.slice(0, MAX_CUSTOMERS), order_days[:MAX_CUSTOMERS]
        names = [f"month_{month}" for month in range(2, MONTH_COUNT + 1)]
        for name, days in zip(names, order_days.T[1:] - order_days.T[0], strict=True):
            summary = summary.append_column(at_orders_column(name), pa.array(days))
        against_january = np.eye(MONTH_COUNT)[:, 1:] - np.eye(MONTH_COUNT)[:, :1]
        calendar = _calendar(summary, dict(zip(names, against_january.T, strict=True)))
        fitted = SeasonalParetoNBD(calendar, transaction=names, unit="D").fit(summary)
        effects = np.array(list(fitted.params.values())[-len(names) :])
        shown = against_january @ effects
        covariance = np.array(fitted.estimates.covariance)[-len(names) :, -len(names) :]
        doubt = np.diag(against_january @ covariance @ against_january.T)
        # where the likelihood is too flat to tell, as far as so many orders can
        by_count = 1 / np.maximum(order_days.sum(axis=0), 1.0)
        doubt = np.where(np.isfinite(doubt), doubt, by_count) + YEAR_TO_YEAR**2 / np.floor(years)
        new = _share_of_new(summary, calendar)
        doubt += (OF_NEW_CUSTOMERS * (new - new.min())) ** 2
        is_known = np.isfinite(doubt) & np.isfinite(shown)
        if not is_known.any():
            return cls.assumed(prior)
        assumed, apart = np.array(prior.logs), np.array(prior.spreads)
        believed = np.where(is_known, apart**2 / (apart**2 + np.where(is_known, doubt, 1.0)), 0.0)
        logs = assumed + believed * (np.where(is_known, shown, assumed) - assumed)
        spreads = apart * np.sqrt(1 - believed)
        return cls(tuple(logs.tolist()), tuple(spreads.tolist()), is_observed=True, trust=prior.trust)

    def level(self, at: datetime, days: int = HORIZON_DAYS) -> float:
        """What the days from a cutoff on bring, against as many of the year's mean."""
        return float(np.exp(self.around_mean[_months(at, days)]).mean())

    def spread(self, at: datetime, days: int = HORIZON_DAYS) -> float:
        """Standard deviation of the logarithm of `level`.

        Months that the shop has shown are off each by itself; those of the season assumed are off together.
        """
        shares = np.bincount(_months(at, days), minlength=MONTH_COUNT) / days
        each = shares * np.array(self.spreads)
        return float(np.sqrt(np.square(each).sum()) if self.is_observed else each.sum())

    @property
    def around_mean(self) -> Numbers:
        """Logarithm of each month's factor against the mean month's, January first."""
        logs = np.array(self.logs)
        return logs - np.log(np.mean(np.exp(logs)))

    def calendar(self, summary: pa.Table) -> Calendar:
        """The season along the months of a summary, and some after it, with the mean month at 0."""
        return _calendar(summary, {SEASON: self.around_mean})


def month_of(days: Numbers) -> np.ndarray:
    """Month of each day since 1970, January is 0."""
    return np.asarray(days).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % MONTH_COUNT


def _months(at: datetime, days: int) -> np.ndarray:
    first = (at.astimezone(UTC).date() - EPOCH).days
    return month_of(np.arange(first, first + days, dtype=np.float64))


def _share_of_new(summary: pa.Table, calendar: Calendar) -> Numbers:
    """Share of a month's customer days that are of new customers, January first; of the year with the fewest."""
    first, age = (summary[name].to_numpy() for name in ("first_day", "T"))
    bounds = np.array(calendar.bounds)
    all_days, new_days = (
        np.diff([(np.clip(bound, first, first + length) - first).sum() for bound in bounds])
        for length in (age, np.minimum(NEW_DAYS, age))
    )
    is_whole = (bounds[1:] <= (first + age).max()) & (all_days > 0)
    share = np.ones(MONTH_COUNT)
    np.minimum.at(share, month_of(bounds[:-1])[is_whole], new_days[is_whole] / all_days[is_whole])
    return share


def _calendar(summary: pa.Table, by_month: dict[str, Numbers]) -> Calendar:
    """Months, from the first order of a summary until after the horizon, with covariates that depend on the month."""
    first, age = (summary[name].to_numpy() for name in ("first_day", "T"))
    until = EPOCH + timedelta(days=float((first + age).max()) + HORIZON_DAYS + 31)
    begin = np.datetime64(EPOCH + timedelta(days=float(first.min()) - 1), "M")
    months = np.arange(begin, np.datetime64(until, "M") + 1)
    bounds = np.append(months, months[-1] + 1).astype("datetime64[D]").astype(np.int64)
    place = months.astype(np.int64) % MONTH_COUNT
    values = {name: tuple(one[place].tolist()) for name, one in by_month.items()}
    return Calendar(tuple(bounds.astype(np.float64).tolist()), values)
