"""Models: what is predicted, by which learner, its backtest, and its forecasts against the actual."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

import numpy as np
from pydantic import Field

from patron.answers.customers.contract_forecasts import has_contracts
from patron.answers.models.churn_drivers import ChurnDriver, PartialDependence, churn_drivers, partial_dependence
from patron.answers.models.fairness import FairnessResults, fairness
from patron.answers.models.forecast_ledger import (
    FORECASTS_PER_PAGE,
    ForecastEntry,
    ForecastLedger,
    forecast_ledger_of,
    newest_forecasts,
)
from patron.answers.models.metrics_by_group import GroupRow, metrics_by_group
from patron.answers.models.model_alarms import ModelAlarm, data_alarms_from, model_alarms
from patron.answers.models.repeat_purchase import RepeatPurchase, repeat_purchase
from patron.answers.models.survival import Survival, survival
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.list_pages import Cursor, CursorText, Limit, microseconds_of, time_of
from patron.schema.models.metrics import gini
from patron.schema.models.questions import (
    CATEGORY_SPEND,
    CENTS,
    CHURN,
    PROBABILITY,
    QUESTION_BY_NAME,
    SESSION_CONVERSION,
    TARGETS,
)
from patron.schema.numbers import float_column
from patron.storage.models import model_registry
from patron.storage.models.missing_forecasts import MissingForecast, missing_forecasts, scores_sql
from patron.storage.models.model_decisions import ModelDecision, active_pins
from patron.storage.models.model_history import approvals
from patron.storage.models.trainings import Training, measured_rows, read_trainings, version_in_use
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import Store

UNITS = {target.name: {CENTS: "money", PROBABILITY: "share"}.get(target.unit, "number") for target in TARGETS}
"""How each question's forecast is shown."""
MONEY_METRICS = frozenset({"rmse", "rmse_winsorised", "mae"})
"""Metrics in the unit of what is forecast."""
SHARE_METRICS = frozenset({"bias_share", "decile_mape", "calibration_error", "interval_coverage"})
"""Metrics that are shares of 1."""
SHARES = 100
"""Points of a Lorenz curve."""
BASELINES = frozenset(name for target in TARGETS for name in target.baselines)
"""Learners that are baselines, which any other has to beat."""
READ_MODELS = Right(Action.READ, Area.MODELS)
QuestionName = Annotated[str, Field(max_length=40, description="Empty for all.")]


def primary_metrics(code: str) -> tuple[str, ...]:
    """Primary metric of a question, and the metrics shown next to it."""
    question = QUESTION_BY_NAME.get(code)
    if question is None:
        return ()
    shown = (question.primary_metric,) if question.is_ranking else question.all_metrics[:2]
    return tuple(metric.name for metric in shown)


@dataclass(frozen=True)
class Backtest:
    """One learner's metric at one origin, next to the best baseline's."""

    question: str
    origin: str
    learner: str
    champion: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    baseline: str
    baseline_value: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    customer_count: int


@dataclass(frozen=True)
class ForecastCheck:
    """Forecast and actual of one decile of an earlier run; decile 0 is everybody."""

    question: str
    scored_at: datetime
    decile: int
    customer_count: int
    forecast_mean: float
    actual_mean: float
    bias_share: float | None


@dataclass(frozen=True)
class Spread:
    """Concentration of the forecast over customers: a Lorenz curve."""

    gini: float
    """0 everybody the same, near 1 one has all."""
    shares_held: tuple[float, ...]
    """Share of the whole that the lowest 0 %, 1 % ... 100 % of customers hold together."""


@dataclass(frozen=True)
class Drift:
    """How one feature's distribution moved since the run before."""

    feature: str
    reference_run_id: str
    population_stability_index: float
    mean_before: float | None
    mean_now: float | None


@dataclass(frozen=True)
class Question:
    """One question: its champion, its backtest and its checked forecasts."""

    question: str
    unit: str
    champion: str | None
    model_version: str | None
    scored_count: int
    primary_metric: tuple[Backtest, ...]
    """The champion on all origins together, one row per primary metric."""
    default: str | None
    """The learner that is champion unless another is better by more than noise; None where it is not asked any more."""
    board: tuple[Backtest, ...]
    """Every learner on the metric that decides, all origins together, the best first."""
    learners: tuple[Backtest, ...]
    """Every learner on every metric, all origins together."""
    origins: tuple[Backtest, ...]
    """The champion at each origin."""
    checks: tuple[ForecastCheck, ...]
    spread: Spread | None
    """How the forecasts of this run are spread; of amounts only."""
    card: dict[str, str]
    """The model card as the registry keeps it: key and text."""
    is_live: bool = False
    """Whether the service forecasts it after each event, and a run scores nobody."""


@dataclass(frozen=True)
class Models:
    """All questions at the last run, and the drift of the features they stand on."""

    run_id: str
    as_of: datetime
    questions: tuple[Question, ...]
    drift: tuple[Drift, ...]
    repeat_purchase: RepeatPurchase | None
    """From the days of orders alone; None where too little was known."""
    missing_forecasts: tuple[MissingForecast, ...] = ()
    """What this run has too little history for."""
    churn_drivers: tuple[ChurnDriver, ...] = ()
    """First reasons of customers likely to leave; empty where the run has no reasons."""
    partial_dependence: tuple[PartialDependence, ...] = ()
    """What the strongest features do to the churn probability."""
    alarms: tuple[ModelAlarm, ...] = ()
    """What changed more than it usually does."""
    data_alarms_from: datetime | None = None
    """From when on there are alarms about data; None where there are already."""
    pins: tuple[ModelDecision, ...] = ()
    """Earlier models that score a question from the next run on, as people decided."""
    approvals: tuple[ModelDecision, ...] = ()
    """Approvals of the models that the run scored with."""
    trainings: tuple[Training, ...] = ()
    """The run that trained and measured each champion, and why this run trained it or did not."""
    retrain_days: int = 0
    """Days that a model scores before it is trained again, as the policy says now."""
    groups: tuple[GroupRow, ...] = ()
    """The champions in groups of customers."""
    has_contracts: bool = False
    """Whether any customer has or had a contract with a declared end."""
    fairness: FairnessResults | None = None
    """Groups of customers compared; None where no sensitive trait was declared."""
    ledger: ForecastLedger | None = None
    """Every earlier forecast, scored when it came due."""
    survival: Survival | None = None
    """How forecasts of who stays did, and how early the churn forecast warned; None where churn has no forecast."""


@operation(READ_MODELS, "GET /api/models")
def show_models(cache: AnswerCache) -> Models:
    """Questions, champions, backtests, checked forecasts and drift."""
    # why: people may decide about models between runs, which is read afresh
    return with_decisions(cache.cached("models", lambda: models(cache.shop)), cache.shop.store)


@dataclass(frozen=True)
class ForecastPage:
    """Forecasts of earlier runs against what came, and where the next page begins."""

    entries: tuple[ForecastEntry, ...]
    next_cursor: str | None
    """Null after the last page."""


@operation(READ_MODELS, "GET /api/models/forecasts")
def show_forecasts(
    cache: AnswerCache, question: QuestionName = "", cursor: CursorText = "", limit: Limit = None
) -> ForecastPage:
    """Every forecast whose horizon is over against what came, the latest first; of one question or of all."""
    ledger = show_models(cache).ledger
    before = None
    size = limit or FORECASTS_PER_PAGE
    if cursor:
        at, name = Cursor.in_list(cursor, "forecasts", int, str).place
        before = (time_of(at), name)
    following = newest_forecasts(ledger.entries if ledger else (), question, before=before)
    shown = following[:size]
    has_more = len(following) > size
    place = (microseconds_of(shown[-1].scored_at), shown[-1].question) if has_more else ()
    return ForecastPage(shown, str(Cursor("forecasts", place)) if has_more else None)


def models(shop: Shop) -> Models:
    """Models of the last finished run. Raises NoRunYet."""
    return models_of(last_run(shop))


def models_of(view: Snapshot) -> Models:
    """Models of one run."""
    missing = missing_forecasts(view)
    has_churn = all(one.question != CHURN.name for one in missing)
    of_run = Models(
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        questions=questions(view),
        drift=drift(view),
        repeat_purchase=repeat_purchase(view),
        missing_forecasts=missing,
        churn_drivers=churn_drivers(view) if has_churn else (),
        partial_dependence=partial_dependence(view) if has_churn else (),
        alarms=model_alarms(view),
        data_alarms_from=data_alarms_from(view),
        trainings=tuple(read_trainings(view, view.run.run_id).values()),
        retrain_days=view.policy.models.retrain_days,
        groups=metrics_by_group(view),
        has_contracts=has_contracts(view),
        fairness=fairness(view),
        ledger=forecast_ledger_of(view),
        survival=survival(view),
    )
    return with_decisions(of_run, view.store)


def with_decisions(of_run: Models, store: Store) -> Models:
    """The models of a run with the pins and approvals as they are now."""
    used = {question.model_version for question in of_run.questions}
    approved = tuple(approval for approval in approvals(store) if approval.model_version in used)
    return replace(of_run, pins=tuple(active_pins(store).values()), approvals=approved)


def backtests(view: Snapshot) -> tuple[Backtest, ...]:
    """Backtests that hold for the run: of each question those of the run that trained its champion."""
    sql = f"""
select question, origin, learner, champion, metric, value, low, high, baseline, baseline_value, gain, gain_low,
  gain_high, customer_count
from {measured_rows("backtests", view.run.run_id)} b
order by question, case when origin = 'all' then 0 else 1 end, origin, case when learner = champion then 0 else 1 end,
  learner, metric"""
    return tuple(Backtest(**row) for row in records(view.query(sql)))


def forecast_checks(view: Snapshot) -> tuple[ForecastCheck, ...]:
    """Forecasts of earlier runs whose horizon is over, the latest forecast of each question first."""
    sql = """
select question, scored_at, decile, customer_count, forecast_mean, actual_mean, bias_share
from this_forecast_checks order by question, scored_at desc, decile"""
    return tuple(ForecastCheck(**row) for row in records(view.query(sql)))


def drift(view: Snapshot) -> tuple[Drift, ...]:
    """Features by how far they moved, the furthest first."""
    sql = """
select feature, reference_run_id, population_stability_index, mean_before, mean_now
from this_drift order by population_stability_index desc, feature"""
    return tuple(Drift(**row) for row in records(view.query(sql)))


def questions(view: Snapshot) -> tuple[Question, ...]:
    """Every question that was backtested or scored, in the order of UNITS."""
    tested, checked = backtests(view), forecast_checks(view)
    trainings, run_id = read_trainings(view, view.run.run_id), view.run.run_id
    sql = f"""
select question, max(model_version) as model_version, count(*) as scored_count from this_scores group by question
union all
select 'recommend' as question, max(model_version) as model_version, count(distinct customer_id) as scored_count
from this_affinities having count(*) > 0
union all
select 'category_purchase' as question, max(model_version) as model_version,
  count(distinct customer_id) as scored_count
from this_category_needs having count(*) > 0
union all
select 'message_response' as question, max(model_version) as model_version,
  count(distinct customer_id) as scored_count
from this_response_forecasts having count(*) > 0
union all
select 'contract_churn' as question, max(model_version) as model_version, count(distinct customer_id) as scored_count
from this_contract_forecasts having count(*) > 0
union all
select 'category_spend' as question, '{version_in_use(trainings, CATEGORY_SPEND.name, run_id)}' as model_version,
  count(distinct customer_id) as scored_count
from this_category_needs where expected_cents is not null having count(*) > 0"""
    scored = {row["question"]: row for row in records(view.query(sql))}
    versions = {code: row["model_version"] for code, row in scored.items()}
    # why: it is forecast live, so that a run has no scores of it
    versions[SESSION_CONVERSION.name] = version_in_use(trainings, SESSION_CONVERSION.name, run_id)
    known = [*UNITS, *sorted((scored.keys() | {row.question for row in tested}) - UNITS.keys())]
    return tuple(
        _question(view, code, versions.get(code), scored.get(code), [b for b in tested if b.question == code], checked)
        for code in known
        if code in scored or any(row.question == code for row in tested)
    )


def _spread(view: Snapshot, code: str) -> Spread | None:
    of_run = f"{scores_sql(view, code)} s where run_id = '{view.run.run_id}'"
    sql = f"select value from {of_run} order by value, customer_id"
    values = float_column(view.query(sql), "value")
    if not values.sum() > 0:
        return None
    held = np.concatenate([[0.0], np.cumsum(np.sort(values))]) / values.sum()
    places = np.linspace(0, len(values), SHARES + 1)
    return Spread(gini(values), tuple(np.interp(places, np.arange(len(held)), held).tolist()))


def _question(
    view: Snapshot,
    code: str,
    version: str | None,
    scored: dict[str, object] | None,
    tested: list[Backtest],
    checked: tuple[ForecastCheck, ...],
) -> Question:
    whole = tuple(row for row in tested if row.origin == "all")
    shown = primary_metrics(code)
    board = sorted((row for row in whole if row.metric in shown[:1]), key=lambda row: -(row.gain or 0.0))
    return Question(
        question=code,
        unit=UNITS.get(code, "number"),
        champion=tested[0].champion if tested else None,
        model_version=version,
        scored_count=int(str(scored["scored_count"])) if scored else 0,
        primary_metric=tuple(
            row for metric in shown for row in whole if row.learner == row.champion and row.metric == metric
        ),
        default=(QUESTION_BY_NAME[code].default or None) if code in QUESTION_BY_NAME else None,
        board=tuple(board),
        learners=whole,
        origins=tuple(row for row in tested if row.origin != "all" and row.learner == row.champion),
        checks=tuple(check for check in checked if check.question == code),
        spread=_spread(view, code) if UNITS.get(code) == "money" else None,
        card=model_registry.card(view.folder / "models", view.store, version) if version else {},
        is_live=code == SESSION_CONVERSION.name,
    )
