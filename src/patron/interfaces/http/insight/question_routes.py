"""Explore for programs: questions, what can be asked, and what a question comes to."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from starlette.datastructures import QueryParams

from patron.answers.data.query_worker import Cell, QueryWorkers, QuestionResult
from patron.answers.insight.questions import QuestionDetail, question_detail, run_question
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, asker_name, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.known_parameters import require_known, require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.common_sentences import SHORTEN, TOO_LONG
from patron.schema.errors import BadQuery
from patron.schema.insight.guided_question import Filter, Group, GuidedQuestion, Measure, guided_sql
from patron.schema.sentences import Sentence
from patron.storage.privacy.erasures import newest_erasure_entry, unfinished_erasure_count
from patron.storage.runs.last_run import last_run

QUESTION_FILTER = Sentence("question_filter", "each filter takes where, is and value")
QUESTION_NOTHING = Sentence("question_nothing", "there is no question to save")
QUESTION_THREE = Sentence("question_three", "Send all three of each.")
QUESTION_TABLE = Sentence("question_table", "Choose a table, or write SQL.")

Value = TypeVar("Value")
GUIDED_PARAMETERS = ("table", "measure", "group", "where", "is", "value")
ASK_PARAMETERS = (*GUIDED_PARAMETERS, "sql", "question")
MAX_SQL_LENGTH = 6_000
MAX_PART_LENGTH = 200
MAX_RESULTS, MAX_RESULT_BYTES = 80, 64 << 20

router = APIRouter(tags=["questions"], route_class=GuardedRoute)


@dataclass(frozen=True)
class AnsweredQuestion:
    """A question, its SQL, and its result."""

    question: QuestionDetail | None
    """The saved one; None for one that is not."""
    sql: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    is_cut: bool
    """Whether there are more rows than these."""


@dataclass(frozen=True)
class StoppedQueries:
    """How many queries were stopped."""

    count: int


def workers_of(request: Request) -> QueryWorkers:
    """Processes that run questions; they start with the first one."""
    state = request.app.state
    if not hasattr(state, "query_workers"):
        state.query_workers = QueryWorkers(answers_of(request).shop.folder)
    return state.query_workers


def asker_of(request: Request) -> str:
    """Who runs a question, and may thus stop it."""
    return asker_name(actor_of(request))


def result_of(request: Request, sql: str, *, seconds: float = 0.0) -> QuestionResult:
    """Result of a question's SQL; the newest results are kept until the next run. Raises NoRunYet, BadQuery."""
    shop = answers_of(request).shop
    return kept_for_run(
        request,
        sql,
        lambda: run_question(shop, workers_of(request), sql, seconds=seconds, asker=asker_of(request)),
    )


def kept_for_run(request: Request, key: object, make: Callable[[], Value]) -> Value:
    """What was made for a key since the last run and erasure, of the keys that were requested most recently.

    While an erasure is under way nothing is kept: what is made may hold rows that it deletes. Raises NoRunYet.
    """
    state, shop = request.app.state, answers_of(request).shop
    if not hasattr(state, "recent_results"):
        state.recent_results = RecentResults()
    kept: RecentResults = state.recent_results
    with shop.store.begin() as connection:
        is_erasing, erasure = unfinished_erasure_count(connection) > 0, newest_erasure_entry(connection)
    if is_erasing:
        return make()
    key = (last_run(shop).version, erasure, key)
    value = kept.value(key)
    if value is None:
        value = make()
        kept.keep(key, value)
    return value


class RecentResults:
    """What was requested most recently."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[object, Any] = OrderedDict()
        self._size = 0

    def value(self, key: object) -> Any:
        """Value of a key; None where it is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def keep(self, key: object, value: object) -> None:
        """Keep a value, and forget the oldest ones: of so many, and of so many bytes."""
        with self._lock:
            self._forget(key)
            self._values[key] = value
            self._size += _size_of(value)
            while len(self._values) > MAX_RESULTS or self._size > MAX_RESULT_BYTES:
                self._forget(next(iter(self._values)))

    def _forget(self, key: object) -> None:
        if key in self._values:
            self._size -= _size_of(self._values.pop(key))


def _size_of(value: object) -> int:
    return value.size if isinstance(value, QuestionResult) else 0


def guided_of(parameters: QueryParams) -> GuidedQuestion | None:
    """The guided question of an address; None where it names no table."""
    table = parameters.get("table", "")[:MAX_PART_LENGTH]
    if not table:
        return None
    values = {name: [text[:MAX_PART_LENGTH] for text in parameters.getlist(name)] for name in GUIDED_PARAMETERS}
    measures = tuple(Measure(*text.split(":", 1)) for text in values["measure"] if text)
    groups = tuple(Group(*text.split(":", 1)) for text in values["group"] if text)
    if len({len(values[name]) for name in ("where", "is", "value")}) > 1:
        raise BadQuery(QUESTION_FILTER, where="where", todo=QUESTION_THREE)
    rows = zip(values["where"], values["is"], values["value"], strict=True)
    filters = tuple(Filter(*row) for row in rows if row[0])
    return GuidedQuestion(table, measures or (Measure(),), groups, filters)


def guided_parameters(question: GuidedQuestion) -> list[tuple[str, str]]:
    """A guided question as parameters of an address."""
    pairs = [("table", question.table), *(("measure", str(measure)) for measure in question.measures)]
    pairs += [("group", str(group)) for group in question.groups]
    for filter_ in question.filters:
        pairs += [("where", filter_.column), ("is", filter_.comparison), ("value", filter_.value)]
    return pairs


def sql_of_address(request: Request) -> str:
    """SQL of an address: written, or made of its parts. Raises BadQuery."""
    parameters = request.query_params
    sql = parameters.get("sql", "")
    if len(sql) > MAX_SQL_LENGTH:
        raise BadQuery(TOO_LONG(count=MAX_SQL_LENGTH), where="sql", todo=SHORTEN)
    guided = guided_of(parameters)
    if sql or guided is None:
        return sql
    return guided_sql(guided, answers_of(request).shop.settings.shop.time_zone)


def _question_answer(detail: QuestionDetail | None, sql: str, result: QuestionResult) -> AnsweredQuestion:
    names = tuple(column.name for column in result.columns)
    return AnsweredQuestion(detail, sql, columns=names, rows=result.rows, is_cut=result.is_cut)


@router.get("/api/questions/ask")
@needs(Action.ACT, Area.QUESTIONS)
def ask(request: Request) -> AnsweredQuestion:
    """Result of a question that is not saved: `sql`, or `table`, `measure`, `group`, `where`, `is`, `value`."""
    require_known(request.query_params, ASK_PARAMETERS)
    sql = sql_of_address(request)
    return _question_answer(None, sql, result_of(request, sql))


@router.post("/api/questions/stop")
@needs(Action.READ, Area.QUESTIONS)
def stop(request: Request) -> StoppedQueries:
    """Stop the queries of whoever asks that are running."""
    return StoppedQueries(workers_of(request).stop(asker_of(request)))


@router.get("/api/questions/{question_id}", dependencies=[Depends(require_known_parameters)])
@needs(Action.READ, Area.QUESTIONS)
def question(request: Request, question_id: str, version: Annotated[int, Query(ge=0, le=1000)] = 0) -> AnsweredQuestion:
    """One question and its result."""
    detail = question_detail(answers_of(request).shop, question_id[:80], version)
    return _question_answer(detail, detail.question.sql, result_of(request, detail.question.sql))


def definition_of(fields: Mapping[str, str], parameters: QueryParams) -> Mapping[str, object]:
    """Definition of the question that a form saves. Raises BadQuery."""
    if fields.get("sql", "").strip():
        return {"sql": fields["sql"]}
    guided = guided_of(parameters)
    if guided is None:
        raise BadQuery(QUESTION_NOTHING, where="table", todo=QUESTION_TABLE)
    return {"guided": guided}
