"""Prospects: people without an order, ranked by expected net revenue, and the backtest of such rankings."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import PROSPECTS
from patron.schema.sentences import Sentence
from patron.storage.engine import exact_sum, timestamp
from patron.storage.models import model_registry
from patron.storage.models.trainings import measured_rows
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import RUNS

RUN_WITH_OLDER_SIGN_UPS = Sentence("run_with_older_sign_ups", "Run again once sign-ups of the past are 90 days old.")
NO_PROSPECTS = Sentence("no_prospects", "there are no prospects: nobody signed up in the last 90 days without ordering")
SEND_SIGN_UPS = Sentence("send_sign_ups", "Send `Identify` or `Customer Registered` when people sign up, then run.")

MAX_SHOWN = 20


@dataclass(frozen=True)
class Prospect:
    """One person without an order, and expected net revenue in the next 90 days."""

    customer_id: str
    expected_cents: float
    days_since_known: float
    acquisition_channel: str | None
    reasons: tuple[str, ...]
    """Features that moved the forecast most, signed."""


@dataclass(frozen=True)
class Prospects:
    """Prospects of a run (known by an id for up to 90 days, no order yet), and the backtest of their ranking."""

    run_id: str
    as_of: datetime
    learner: str
    why: str
    evaluated_count: int
    """People of past cutoffs that the ranking was evaluated on."""
    gini: float | None
    """Normalised Gini of the ranking: 0 no better than the mean, 1 perfect."""
    gini_low: float | None
    gini_high: float | None
    people_count: int
    expected_cents: float
    people: tuple[Prospect, ...]
    """Those expected to pay most, the best first."""


def prospects(shop: Shop, *, most: int = MAX_SHOWN) -> Prospects:
    """Prospects of the last run. Raises NoRunYet, and NotEnoughData where it could not forecast them."""
    view = last_run(shop)
    total = records(
        view.query(
            f"""select count(*) as people_count, {exact_sum("value")} as expected_cents,
              max(model_version) as model_version
            from this_scores where question = '{PROSPECTS.name}'"""
        )
    )[0]
    if not total["people_count"]:
        raise _missing(shop, view)
    card = model_registry.card(shop.folder / "models", shop.store, total["model_version"])
    evaluated = _evaluation(view, card.get("learner", ""))
    return Prospects(
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        learner=card.get("learner", ""),
        why=card.get("why", ""),
        evaluated_count=evaluated["customer_count"],
        gini=evaluated["value"],
        gini_low=evaluated["low"],
        gini_high=evaluated["high"],
        people_count=total["people_count"],
        expected_cents=total["expected_cents"],
        people=_best(view, most),
    )


def _evaluation(view: Snapshot, learner: str) -> dict:
    rows = records(
        view.query(
            f"""select value, low, high, customer_count from {measured_rows("backtests", view.run.run_id)} b
            where question = '{PROSPECTS.name}' and origin = 'all'
              and metric = '{PROSPECTS.primary_metric.name}' and learner = '{learner}'"""
        )
    )
    return rows[0] if rows else {"value": None, "low": None, "high": None, "customer_count": 0}


def _best(view: Snapshot, most: int) -> tuple[Prospect, ...]:
    rows = view.query(
        f"""select s.customer_id, s.value, f.days_since_known, f.declared_acquisition_channel, s.reasons
        from scores s join prospect_features f
          on f.run_id = s.run_id and f.customer_id = s.customer_id and f.as_of = s.as_of
        where s.run_id = '{view.run.run_id}' and s.question = '{PROSPECTS.name}'
        order by s.value desc, s.customer_id limit {most}"""
    )
    return tuple(
        Prospect(
            row["customer_id"],
            row["value"],
            days_since_known=row["days_since_known"],
            acquisition_channel=row["declared_acquisition_channel"],
            reasons=tuple(row["reasons"] or ()),
        )
        for row in records(rows)
    )


def _missing(shop: Shop, view: Snapshot) -> NotEnoughData:
    """Why the last run has no forecast of prospects: too little to learn from, or nobody to forecast."""
    with shop.store.begin() as connection:
        summary = connection.scalar(sa.select(RUNS.c.summary).where(RUNS.c.run_id == view.run.run_id)) or {}
    where, prefix = f"run {view.run.run_id}", f"{PROSPECTS.name}: "
    reasons = [text.removeprefix(prefix) for text in summary.get("unanswered", ()) if text.startswith(prefix)]
    has_people = view.query(
        f"""select count(*) as n from this_prospect_features
        where as_of = {timestamp(view.run.as_of)}"""
    )["n"][0].as_py()
    if reasons and has_people:
        todo = RUN_WITH_OLDER_SIGN_UPS
        return NotEnoughData(reasons[0], where=where, todo=todo)
    return NotEnoughData(
        NO_PROSPECTS,
        where=where,
        todo=SEND_SIGN_UPS,
    )
