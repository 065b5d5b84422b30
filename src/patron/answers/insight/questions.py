"""Explore: questions that are saved or ready-made, which of them are on the dashboard, and what they come to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from patron.answers.data.query_worker import QueryWorkers, QuestionResult
from patron.answers.insight.ready_questions import READY_BY_CODE, READY_QUESTIONS
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.common_sentences import NO_SUCH_QUESTION, SQL_SELECT
from patron.schema.errors import BadQuery, NotFound
from patron.schema.insight.guided_question import GuidedQuestion, guided_sql
from patron.schema.sentences import Sentence
from patron.storage.insight.saved_questions import SavedQuestion, pin_choices, saved_questions, versions_of
from patron.storage.runs.past_shop import PastShop
from patron.storage.shop import Shop

SQL_NOTHING = Sentence("sql_nothing", "there is nothing to run")
QUESTION_LIST_ALL = Sentence("question_list_all", "See /explore/questions for all of them.")

READY = "ready-"
"""How ids of ready-made questions begin."""
MAX_ROWS = 1_000
"""Rows of a result that pages and programs get; a file has more."""
MAX_EXPORTED_ROWS = 100_000
TILE_SECONDS = 5.0
"""How long a question on the dashboard may take."""


@dataclass(frozen=True)
class QuestionInfo:
    """One question: saved by somebody, or ready-made, whose name is then a text of the console."""

    question_id: str
    code: str
    """Of a ready-made one; empty otherwise."""
    name: str
    folder: str
    note: str
    sql: str
    guided: GuidedQuestion | None
    """Its parts, where it was not written as SQL."""
    is_pinned: bool
    version: int
    owner: str
    saved_at: datetime | None
    saved_by: str


@dataclass(frozen=True)
class QuestionDetail:
    """A question with its versions, the newest first."""

    question: QuestionInfo
    versions: tuple[SavedQuestion, ...]


@operation(Right(Action.READ, Area.QUESTIONS), "GET /api/questions")
def list_questions(shop: Shop) -> tuple[QuestionInfo, ...]:
    """Every question: saved ones by folder and name, then ready-made ones."""
    pins, zone = pin_choices(shop.store), shop.settings.shop.time_zone
    saved = (_saved_question_info(question, pins, zone) for question in saved_questions(shop.store))
    return (*saved, *(_of_ready(question.code, pins, zone) for question in READY_QUESTIONS))


def question_detail(shop: Shop, question_id: str, version: int = 0) -> QuestionDetail:
    """One question, in its current version or in another one. Raises NotFound."""
    pins, zone = pin_choices(shop.store), shop.settings.shop.time_zone
    code = question_id.removeprefix(READY)
    if question_id.startswith(READY) and code in READY_BY_CODE:
        return QuestionDetail(_of_ready(code, pins, zone), ())
    versions = versions_of(shop.store, question_id)
    chosen = next((one for one in versions if version in {0, one.version}), None)
    if chosen is None:
        raise NotFound(NO_SUCH_QUESTION, where=question_id[:40], todo=QUESTION_LIST_ALL)
    return QuestionDetail(_saved_question_info(chosen, pins, zone), versions)


def run_question(
    shop: Shop, workers: QueryWorkers, sql: str, *, seconds: float = 0.0, most_rows: int = MAX_ROWS, asker: str = ""
) -> QuestionResult:
    """Run the SQL of a question within the limits of `patron sql`; `asker` may stop it. Raises BadQuery."""
    if not sql.strip():
        raise BadQuery(SQL_NOTHING, where="sql", todo=SQL_SELECT)
    as_of = shop.run.run_id if isinstance(shop, PastShop) else ""
    limit = seconds or shop.settings.engine.sql_seconds
    return workers.run(sql, seconds=limit, most_rows=most_rows, asker=asker, as_of=as_of)


def sql_of(definition: Mapping[str, Any], time_zone: str) -> tuple[str, GuidedQuestion | None]:
    """SQL of a definition as it is stored, and its parts. Raises BadQuery."""
    if "sql" in definition:
        return str(definition["sql"]), None
    guided = msgspec.convert(definition["guided"], GuidedQuestion)
    return guided_sql(guided, time_zone), guided


def _saved_question_info(one: SavedQuestion, pins: Mapping[str, bool], zone: str) -> QuestionInfo:
    sql, guided = sql_of(one.definition, zone)
    is_pinned = pins.get(one.question_id, False)
    facts = (one.question_id, "", one.name, one.folder, one.note, sql, guided, is_pinned)
    return QuestionInfo(*facts, one.version, one.owner, one.saved_at, one.saved_by)


def _of_ready(code: str, pins: Mapping[str, bool], zone: str) -> QuestionInfo:
    ready, question_id = READY_BY_CODE[code], READY + code
    is_pinned = pins.get(question_id, ready.is_pinned)
    return QuestionInfo(
        question_id,
        code,
        name=code,
        folder="",
        note="",
        sql=ready.sql_in(zone),
        guided=None,
        is_pinned=is_pinned,
        version=1,
        owner="",
        saved_at=None,
        saved_by="",
    )
