"""Questions that a run cannot answer yet, found at its end and kept with it: nobody is shown a forecast of nothing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import DAYS_BEFORE_FORECAST, PROSPECTS, QUESTIONS, Question
from patron.schema.sentences import Sentence
from patron.storage.models import model_registry
from patron.storage.models.trainings import measured_rows
from patron.storage.shop import Snapshot
from patron.storage.store.store import RUNS

if TYPE_CHECKING:
    from patron.storage.runs.stage_view import StageView

IMPORT_OLDER = Sentence("import_older", "Import older orders, or run again from then on.")
IMPORT_MORE = Sentence("import_more", "Import more orders, then run again.")
EARLIER_CUTOFF = Sentence("earlier_cutoff", "Name an earlier cutoff: patron run --as-of YYYY-MM-DD.")

MISSING = "missing_forecasts"
"""Key in the summary of a run."""
TODO = {
    "too_young": IMPORT_OLDER,
    "too_few": IMPORT_MORE,
    "no_recent_order": EARLIER_CUTOFF,
}
MIN_TOTAL_CENTS = 100
"""A value of all customers together below one unit of the currency is a forecast of nothing."""
DAYS_OF_SILENCE = 30
"""Without an order of anybody for so long, or for the horizon, nobody has ordered recently."""
Reason = Literal["too_young", "too_few", "no_recent_order"]


@dataclass(frozen=True)
class MissingForecast:
    """A question that the run has no answer to, why, and from when on it can have one."""

    question: str
    reason: Reason
    ready_at: datetime | None = None
    """First cutoff with enough history; None where time alone does not help."""

    def __str__(self) -> str:
        """In a few words, the day by the shop's clock."""
        if self.reason == "too_young" and self.ready_at is not None:
            return f"not enough history yet: {self.question} from {self.ready_at:%Y-%m-%d}"
        if self.reason == "no_recent_order":
            return f"no {self.question}: nobody has ordered lately; choose a cutoff nearer to the last order"
        return f"not enough customers yet for {self.question}"


def find_missing_forecasts(view: "StageView") -> tuple[MissingForecast, ...]:
    """Questions about customers that this run could not answer.

    That is one without scores; one whose scores are a baseline's that no past cutoff could check; and value that is 0
    for everybody.
    """
    scored = _read_scored(view)
    span = view.query("select min(known_at) as first_at, max(occurred_at) as last_at from orders where is_identified")
    first_at, last_at = (span[name][0].as_py() for name in ("first_at", "last_at"))
    zone = view.settings.shop.time_zone
    questions = (question for question in QUESTIONS if not question.is_ranking and question is not PROSPECTS)
    return tuple(
        MissingForecast(question.name, *_reason(question, view.run.as_of, zone, first_at, last_at))
        for question in questions
        if not _is_answered(view, question, scored.get(question.name))
    )


def is_answered(view: "StageView", question: Question) -> bool:
    """Whether the run's forecasts of a question are shown to people."""
    return _is_answered(view, question, _read_scored(view).get(question.name))


def _read_scored(view: "StageView") -> dict[str, dict[str, Any]]:
    """By question: the sum of its scores, its model, and whether a past cutoff could check it."""
    run, measured = f"run_id = '{view.run.run_id}'", measured_rows("backtests", view.run.run_id)
    sql = f"""
select s.question, count(*) as row_count, sum(s.value) as total, max(s.model_version) as model_version,
  max(case when b.question is null then 0 else 1 end) as is_checked
from scores s left join (select distinct question from {measured} m) b on b.question = s.question
where s.{run} group by s.question"""
    return {row["question"]: row for row in view.query(sql).to_pylist()}


def _is_answered(view: "StageView", question: Question, scored: Mapping[str, Any] | None) -> bool:
    if scored is None or (question.name == "value" and not scored["total"] >= MIN_TOTAL_CENTS):
        return False
    learner = model_registry.card(view.models_folder, view.declared_store, scored["model_version"]).get("learner", "")
    return bool(scored["is_checked"]) or learner not in question.baselines


def _reason(
    question: Question, as_of: datetime, zone: str, first_at: datetime | None, last_at: datetime | None
) -> tuple[Reason, datetime | None]:
    if first_at is None or last_at is None:
        return "too_few", None
    ready_at = first_at + timedelta(days=DAYS_BEFORE_FORECAST + question.horizon_days)
    if as_of < ready_at:
        return "too_young", next_midnight(ready_at, zone)
    is_silent = as_of - last_at > timedelta(days=max(question.horizon_days, DAYS_OF_SILENCE))
    return ("no_recent_order" if is_silent else "too_few"), None


def next_midnight(at: datetime, zone: str) -> datetime:
    """The first midnight at or after a time: runs are mostly made at the start of a day."""
    local = at.astimezone(ZoneInfo(zone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == local else midnight + timedelta(days=1)


def as_summary(missing: tuple[MissingForecast, ...]) -> list[dict[str, str | None]]:
    """As JSON can hold them, for the summary of the run."""
    return [{**asdict(one), "ready_at": one.ready_at.isoformat() if one.ready_at else None} for one in missing]


def missing_forecasts(view: Snapshot) -> tuple[MissingForecast, ...]:
    """Questions that a completed run could not answer."""
    return view.once("missing forecasts", lambda: _missing_of(view))


def _missing_of(view: Snapshot) -> tuple[MissingForecast, ...]:
    return tuple(
        MissingForecast(
            one["question"], one["reason"], datetime.fromisoformat(one["ready_at"]) if one["ready_at"] else None
        )
        for one in _missing_by_run(view).get(view.run.run_id, ())
    )


def require_forecast(view: Snapshot, question: str) -> None:
    """Check that a completed run could answer a question. Raises NotEnoughData, which says from when on."""
    for one in missing_forecasts(view):
        if one.question == question:
            raise NotEnoughData(str(one), where=f"run {view.run.run_id}", todo=TODO[one.reason])


def scores_sql(view: Snapshot, question: str) -> str:
    """SQL for the scores of a question, of all runs that could answer it."""
    missing = _missing_by_run(view).items()
    without = [run_id for run_id, ones in missing if any(one["question"] == question for one in ones)]
    condition = f" and run_id not in ({', '.join(repr(run_id) for run_id in without)})" if without else ""
    return f"(select * from scores where question = '{question}'{condition})"


def _missing_by_run(view: Snapshot) -> dict[str, list[dict[str, Any]]]:
    with view.store.begin() as connection:
        rows = connection.execute(sa.select(RUNS.c.run_id, RUNS.c.summary)).all()
    return {row.run_id: missing for row in rows if (missing := (row.summary or {}).get(MISSING))}
