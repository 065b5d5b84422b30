"""Why customers leave, for the whole shop."""

from dataclasses import dataclass
from itertools import groupby

from patron.answers.models.churn_reasons import HELP_OF_CODE
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot


@dataclass(frozen=True)
class ChurnDriver:
    """One reason code: the customers likely to leave whose first reason it is."""

    code: str
    """Reason code, or none where nothing sets the customers apart."""
    customer_count: int
    share: float
    """Of all customers likely to leave."""
    mean_contribution: float | None
    """What it added to the log-odds of leaving."""
    mean_churn_probability: float
    help: str | None
    """Code of what might help; None without a reason."""


@dataclass(frozen=True)
class PartialDependence:
    """What the mean churn probability of a sample of customers would be if all of them had a feature's value."""

    feature: str
    points: tuple[tuple[float, float], ...]
    """Value of the feature, and mean churn probability."""


def churn_drivers(view: Snapshot) -> tuple[ChurnDriver, ...]:
    """First reasons of customers likely to leave, the most frequent first; those without a reason last."""
    sql = """
select code, customer_count, share, mean_contribution, mean_churn_probability from this_churn_drivers
order by case when code = 'none' then 1 else 0 end, customer_count desc, code"""
    return tuple(ChurnDriver(**row, help=HELP_OF_CODE.get(row["code"])) for row in records(view.query(sql)))


def partial_dependence(view: Snapshot) -> tuple[PartialDependence, ...]:
    """Partial dependence of the strongest features, the one that moves the forecast most first."""
    sql = """
select feature, value, mean_forecast from this_partial_dependence
where question = 'churn' order by feature, value"""
    features = [
        PartialDependence(feature, tuple((row["value"], row["mean_forecast"]) for row in rows))
        for feature, rows in groupby(records(view.query(sql)), key=lambda row: row["feature"])
    ]
    return tuple(sorted(features, key=lambda one: -_range(one)))


def _range(one: PartialDependence) -> float:
    means = [mean for _, mean in one.points]
    return max(means) - min(means)
