"""How long customers stay: the curve of one customer, how such curves did at a past cutoff, and early warnings."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from patron.schema.models.questions import CHURN
from patron.schema.models.survival import HORIZONS_DAYS, PAUSE_DAYS, forecast_from
from patron.schema.tables.survival_tables import SURVIVAL_LEARNERS
from patron.storage.models.missing_forecasts import missing_forecasts, next_midnight
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot

LIFE_TABLE = SURVIVAL_LEARNERS[0]


@dataclass(frozen=True)
class LaterHorizon:
    """A horizon without forecasts."""

    horizon_days: int
    ready_at: datetime | None
    """First cutoff with enough history; None where too few customers left to check it by."""


@dataclass(frozen=True)
class CurvePoint:
    """Probability that a customer is active at a time to come, and that of all active customers, on average."""

    horizon_days: int
    at: datetime
    probability_active: float
    mean_probability_active: float


@dataclass(frozen=True)
class CustomerSurvival:
    """How long one customer is likely to stay."""

    is_active: bool
    """Whether an order came in the last 90 days; without, there is no curve, whatever the lifecycle stage is."""
    points: tuple[CurvePoint, ...]
    """By horizon; none of a customer without an order in the last 90 days, or in a shop too young."""
    expected_days: float | None
    """Expected days until a pause of 90 days begins, of the next `of_days`."""
    of_days: int | None
    later: tuple[LaterHorizon, ...]
    """Horizons that have no forecast yet."""


@dataclass(frozen=True)
class SurvivalBacktest:
    """One learner's metric at a past cutoff, next to the life table."""

    origin: str
    learner: str
    champion: str
    metric: str
    horizon_days: int
    value: float | None
    low: float | None
    high: float | None
    gain: float | None
    """Over the life table, paired; above zero is better."""
    gain_low: float | None
    gain_high: float | None
    forecast_share: float | None
    """Mean forecast of being active at the horizon, and the share that was; of Brier's score only."""
    actual_share: float | None
    customer_count: int
    leaver_count: int


@dataclass(frozen=True)
class EarlyWarning:
    """Warnings of one rule at past cutoffs: how many were right, and how early they came."""

    rule: str
    share: float
    warned_count: int
    precision: float
    low: float
    high: float
    base_rate: float
    leavers_warned_share: float
    lead_days: float | None
    """Median days from a right warning to the 90th day without an order."""
    lead_low_days: float | None
    lead_high_days: float | None
    gain: float | None
    """Precision less that of days since the last order."""
    gain_low: float | None
    gain_high: float | None
    customer_count: int
    leaver_count: int


@dataclass(frozen=True)
class Survival:
    """How forecasts of who stays did, and how early the churn forecast warned."""

    backtests: tuple[SurvivalBacktest, ...]
    """The learner that is used first."""
    warnings: tuple[EarlyWarning, ...]
    """By share, the churn forecast before the rule it is compared with."""
    later: tuple[LaterHorizon, ...]
    model_version: str | None
    """The hazards that curves are carried on by: their folder under models/; None without any."""

    @property
    def champion(self) -> str | None:
        """The learner that curves come from beyond the churn forecast; None without any."""
        return self.backtests[0].champion if self.backtests else None

    def metric(self, metric: str) -> tuple[SurvivalBacktest, ...]:
        """Every learner on one metric."""
        return tuple(row for row in self.backtests if row.metric == metric)

    @property
    def by_horizon(self) -> tuple[tuple[SurvivalBacktest, SurvivalBacktest], ...]:
        """Brier's score of the champion and of the life table, by horizon."""
        briers = self.metric("brier")
        tables = {row.horizon_days: row for row in briers if row.learner == LIFE_TABLE}
        return tuple((row, tables[row.horizon_days]) for row in briers if row.learner == row.champion)


def survival(view: Snapshot) -> Survival | None:
    """How forecasts of who stays did; None where churn has no forecast."""
    if _is_without_churn(view):
        return None
    of_run = f"where run_id = '{view.run.run_id}'"
    backtests = records(
        view.query(f"""
select origin, learner, champion, metric, horizon_days, value, low, high, gain, gain_low, gain_high, forecast_share,
  actual_share, customer_count, leaver_count
from survival_backtests {of_run}
order by case when learner = champion then 0 when learner = '{LIFE_TABLE}' then 2 else 1 end, learner, metric,
  horizon_days""")
    )
    warnings = records(
        view.query(f"""
select rule, share, warned_count, precision, low, high, base_rate, leavers_warned_share, lead_days, lead_low_days,
  lead_high_days, gain, gain_low, gain_high, customer_count, leaver_count
from early_warnings {of_run} order by share, rule""")
    )
    return Survival(
        tuple(SurvivalBacktest(**row) for row in backtests),
        tuple(EarlyWarning(**row) for row in warnings),
        _later(view, max((row["horizon_days"] for row in backtests), default=PAUSE_DAYS)),
        view.query(f"select max(model_version) as version from survival_curves {of_run}")["version"][0].as_py(),
    )


def customer_survival(view: Snapshot, customer_id: str, last_order_at: datetime | None) -> CustomerSurvival | None:
    """How long one customer is likely to stay; None where churn has no forecast, and without an order."""
    if last_order_at is None or _is_without_churn(view):
        return None
    rows = records(view.customer_rows("survival_curves", customer_id, is_of_run=True).sort_by("horizon_days"))
    return CustomerSurvival(
        is_active=bool(rows) or view.run.as_of - last_order_at <= timedelta(days=PAUSE_DAYS),
        points=tuple(
            CurvePoint(
                row["horizon_days"],
                view.run.as_of + timedelta(days=row["horizon_days"]),
                row["probability_active"],
                row["mean_probability_active"],
            )
            for row in rows
        ),
        expected_days=rows[-1]["expected_days"] if rows else None,
        of_days=rows[-1]["horizon_days"] - PAUSE_DAYS if rows else None,
        later=view.once("later horizons", lambda: _later(view, _longest_days(view))),
    )


def _is_without_churn(view: Snapshot) -> bool:
    return any(one.question == CHURN.name for one in missing_forecasts(view))


def _longest_days(view: Snapshot) -> int:
    sql = "select max(horizon_days) as days from this_survival_backtests"
    return records(view.query(sql))[0]["days"] or PAUSE_DAYS


def _later(view: Snapshot, longest_days: int) -> tuple[LaterHorizon, ...]:
    """Horizons beyond the longest that there is, and from when on each can be forecast."""
    first = view.query("select min(known_at) as first_at from orders where is_identified")["first_at"][0].as_py()
    if first is None:
        return ()
    dates = {days: forecast_from(first, days) for days in HORIZONS_DAYS if days > longest_days}
    zone = view.settings.shop.time_zone
    return tuple(
        LaterHorizon(days, next_midnight(at, zone) if at > view.run.as_of else None) for days, at in dates.items()
    )
