"""Explore: a dashboard of pinned questions, all questions, and asking another one by parts or as SQL."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pyarrow as pa
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.data.query_worker import HIDDEN, QuestionResult
from patron.answers.insight.questions import (
    MAX_EXPORTED_ROWS,
    TILE_SECONDS,
    QuestionInfo,
    list_questions,
    question_detail,
    run_question,
)
from patron.commands.access.record_list_export import record_list_export
from patron.commands.insight.saved_questions import (
    QuestionDraft,
    delete_question,
    pin_question,
    save_question,
)
from patron.interfaces.charts.chart import Chart
from patron.interfaces.charts.question_chart import drill_address, question_chart
from patron.interfaces.charts.vega_bundle import VERSION, vega_bundle
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, form_of, needs
from patron.interfaces.http.csv_response import csv_response
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.insight.question_routes import (
    ASK_PARAMETERS,
    asker_of,
    definition_of,
    guided_of,
    guided_parameters,
    kept_for_run,
    result_of,
    sql_of_address,
    workers_of,
)
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.question_texts import cell_text, column_name
from patron.interfaces.i18n.translations import Words
from patron.schema.access.access_rights import Action, Area
from patron.schema.access.audit_actions import ExportedList
from patron.schema.errors import BadQuery, PatronError
from patron.schema.insight.guided_question import (
    COMPARISONS,
    EMPTY,
    MAX_FILTERS,
    MAX_GROUPS,
    MAX_MEASURES,
    Group,
    GuidedQuestion,
    Measure,
    columns_of,
    groups_of,
    has_plain_columns,
    measures_of,
)
from patron.schema.tables import TABLES

router = APIRouter(route_class=GuardedRoute)
MAIN_TABLES = (
    "orders",
    "order_lines",
    "customers",
    "sessions",
    "interactions",
    "segments",
    "value_at_risk",
    "products",
)
"""Tables that are named first, in the reader's language."""
ROWS_SHOWN = 50
TILE_ROWS, TILE_COLUMNS = 5, 4
MAX_VERSION = 1_000
YEAR_SECONDS = 31_536_000


@dataclass(frozen=True)
class Tile:
    """One pinned question."""

    question: QuestionInfo
    name: str
    result: QuestionResult | None
    chart: Chart | None
    problem: PatronError | None = None
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    """Its first rows, where it is no chart."""


@router.get("/explore")
@needs(Action.READ, Area.QUESTIONS)
def dashboard(request: Request) -> Response:
    """The pinned questions, each with its newest result."""
    console: Console = request.app.state.console
    require_known(request.query_params, FRAME_PARAMETERS)
    pinned = [one for one in list_questions(console.answers.shop) if one.is_pinned]
    tiles = [_tile(request, console, one) for one in pinned]
    return _page(request, "insight/explore.html", twin="/api/questions", tiles=tiles)


def _tile(request: Request, console: Console, question: QuestionInfo) -> Tile:
    texts = console.words(request)
    name = question_name(question, texts)
    try:
        result = result_of(request, question.sql, seconds=TILE_SECONDS)
    except BadQuery as problem:
        return Tile(question, name, result=None, chart=None, problem=problem)
    formats = console.formats(texts)
    return kept_for_run(
        request, (question, texts.locale), lambda: _dashboard_tile(question, name, result, texts, formats)
    )


def _dashboard_tile(question: QuestionInfo, name: str, result: QuestionResult, texts: Words, formats: Formats) -> Tile:
    chart = question_chart(name, result, texts, formats, is_tile=True)
    if chart:
        return Tile(question, name, result, chart)
    columns = result.columns[:TILE_COLUMNS]
    rows = (
        tuple(cell_text(column, cell, texts, formats) for column, cell in zip(columns, row, strict=False))
        for row in result.rows[:TILE_ROWS]
    )
    head = tuple(column_name(column.name, texts) for column in columns)
    return Tile(question, name, result=result, chart=None, problem=None, head=head, rows=tuple(rows))


@router.get("/explore/questions")
@needs(Action.READ, Area.QUESTIONS)
def questions(request: Request) -> Response:
    """Every question by folder."""
    console: Console = request.app.state.console
    require_known(request.query_params, FRAME_PARAMETERS)
    listed = list_questions(console.answers.shop)
    folders: dict[str, list[QuestionInfo]] = {}
    for one in listed:
        folders.setdefault("" if one.code else one.folder or " ", []).append(one)
    return _page(request, "insight/explore_questions.html", twin="/api/questions", folders=folders)


@router.get("/explore/ask")
@needs(Action.ACT, Area.QUESTIONS)
def ask(request: Request) -> Response:
    """Put a question together, or write SQL, and see what it comes to."""
    return _ask(request)


def _ask(request: Request, problem: PatronError | None = None) -> Response:
    console: Console = request.app.state.console
    parameters = request.query_params
    require_known(parameters, (*ASK_PARAMETERS, "as", *FRAME_PARAMETERS))
    guided = None
    sql = parameters.get("sql", "")
    result = None
    try:
        guided = None if sql else guided_of(parameters)
        sql = sql_of_address(request)
        result = result_of(request, sql) if sql.strip() and problem is None else None
    except BadQuery as error:
        problem = error
        guided = _askable(guided)
    question_id = parameters.get("question", "")[:80]
    saved = question_detail(console.answers.shop, question_id).question if question_id else None
    kept = guided_parameters(guided) if guided else [("sql", sql)] if sql else []
    twin = f"/api/questions/ask?{urlencode(kept)}" if kept else "/api/questions"
    return _page(
        request,
        "insight/explore_ask.html",
        twin=twin,
        status=status_of(problem) if problem else 200,
        problem=problem,
        guided=guided,
        is_sql=parameters.get("as") == "sql" or bool(parameters.get("sql")),
        sql=sql,
        saved=saved,
        kept=kept,
        listed=_listed_tables(),
        sql_address=f"/explore/ask?{urlencode({'sql': sql, **_of(question_id)})}" if sql else "/explore/ask?as=sql",
        **_builder(console.words(request), guided),
        **_result_values(request, console, result, console.words(request)("explore.result")),
    )


def _listed_tables() -> list[tuple[str, str, list[str]]]:
    """Names, rows and columns of the tables that SQL may name."""
    return [
        (table.name, table.row, [column.name for column in table.columns if column.personal not in HIDDEN])
        for table in sorted(TABLES, key=lambda one: one.name)
    ]


def _of(question_id: str) -> dict[str, str]:
    return {"question": question_id} if question_id else {}


def _askable(guided: GuidedQuestion | None) -> GuidedQuestion | None:
    """What of a refused question the form can show: nothing where its table is none."""
    known = {table.name for table in TABLES}
    return guided if guided and guided.table in known else None


def _builder(texts: Words, guided: GuidedQuestion | None) -> dict[str, object]:
    """What the form of a guided question offers."""
    others = sorted(table.name for table in TABLES if has_plain_columns(table) and table.name not in MAIN_TABLES)
    offered: dict[str, object] = {
        "tables": [(name, texts.code("data_table", name)) for name in MAIN_TABLES],
        "other_tables": [(name, texts.code("data_table", name)) for name in others],
        "most": {"measures": MAX_MEASURES, "groups": MAX_GROUPS, "filters": MAX_FILTERS},
        "comparisons": [(code, texts(f"explore.comparison_{code}")) for code in (*COMPARISONS, *EMPTY)],
        "measures": [],
        "groups": [],
        "columns": [],
    }
    if guided is None:
        return offered
    table = guided.table
    offered["measures"] = [(str(measure), measure_name(measure, texts)) for measure in measures_of(table)]
    offered["groups"] = [(str(group), group_name(group, texts)) for group in groups_of(table)]
    offered["columns"] = [(name, column_name(name, texts)) for name in columns_of(table)]
    return offered


def measure_name(one: Measure, texts: Words) -> str:
    """Name of a measure, as the column of the result is named."""
    return column_name(one.alias, texts)


def group_name(one: Group, texts: Words) -> str:
    """Name of a group, as the column of the result is named."""
    return column_name(one.alias, texts)


@router.post("/explore/save")
@needs(Action.ACT, Area.QUESTIONS)
def save(request: Request) -> Response:
    """Save the question that was asked, as a new one or as another version."""
    fields, form = form_of(request), request.state.form
    definition = msgspec.to_builtins(definition_of(fields, form))
    draft = QuestionDraft(fields.get("name", ""), definition, fields.get("folder", ""), fields.get("note", ""))
    is_new = fields.get("save_as") == "new"
    question_id = "" if is_new else fields.get("question", "")[:80]
    question_id = save_question(context_of(request), draft, question_id=question_id)
    return RedirectResponse(f"/explore/questions/{quote(question_id)}", 303)


@router.get("/explore/questions/{question_id}")
@needs(Action.READ, Area.QUESTIONS)
def question(request: Request, question_id: str) -> Response:
    """One question and what it comes to."""
    console: Console = request.app.state.console
    require_known(request.query_params, ("version", *FRAME_PARAMETERS))
    version = bounded_integer(request.query_params.get("version", ""), 1, MAX_VERSION) or 0
    detail = question_detail(console.answers.shop, question_id[:80], version)
    shown = detail.question
    texts = console.words(request)
    problem = None
    result = None
    try:
        result = result_of(request, shown.sql)
    except BadQuery as error:
        problem = error
    kept = guided_parameters(shown.guided) if shown.guided else [("sql", shown.sql)]
    kept += [] if shown.code else [("question", question_id)]
    name = question_name(shown, texts)
    return _page(
        request,
        "insight/explore_question.html",
        twin=f"/api/questions/{quote(question_id)}" + (f"?version={version}" if version else ""),
        status=status_of(problem) if problem else 200,
        question=shown,
        title=name,
        versions=detail.versions,
        problem=problem,
        edit=f"/explore/ask?{urlencode(kept)}",
        **_result_values(request, console, result, name),
    )


@router.post("/explore/questions/{question_id}/pin")
@needs(Action.ACT, Area.QUESTIONS)
def pin(request: Request, question_id: str) -> Response:
    """Put a question on the dashboard, or take it off."""
    shop, is_pinned = request.app.state.console.answers.shop, form_of(request).get("is_pinned") == "1"
    question_detail(shop, question_id[:80])
    pin_question(context_of(request), question_id[:80], is_pinned=is_pinned)
    return RedirectResponse("/explore" if is_pinned else f"/explore/questions/{quote(question_id)}", 303)


@router.post("/explore/questions/{question_id}/delete")
@needs(Action.ACT, Area.QUESTIONS)
def delete(request: Request, question_id: str) -> Response:
    """Delete a saved question with all its versions."""
    delete_question(context_of(request), question_id[:80])
    return RedirectResponse("/explore/questions", 303)


@router.get("/explore/questions/{question_id}/csv")
@needs(Action.EXPORT, Area.QUESTIONS)
def export(request: Request, question_id: str) -> Response:
    """The rows of a question as a file; the audit log records who took it."""
    shop = request.app.state.console.answers.shop
    shown = question_detail(shop, question_id[:80]).question
    result = run_question(shop, workers_of(request), shown.sql, most_rows=MAX_EXPORTED_ROWS, asker=asker_of(request))
    record_list_export(context_of(request), ExportedList.QUESTION, row_count=len(result.rows), query=shown.question_id)
    columns = [pa.array([row[n] for row in result.rows]) for n in range(len(result.columns))]
    names = [column.name for column in result.columns]
    return csv_response(pa.Table.from_arrays(columns, names), f"question-{quote(shown.question_id)}")


@router.get("/explore/vega.js")
@needs(Action.READ, Area.QUESTIONS)
def vega(request: Request) -> Response:
    """The drawing library, for charts that answer the pointer."""
    require_known(request.query_params, ("v",))
    headers = {"Cache-Control": f"private, max-age={YEAR_SECONDS}, immutable"}
    return Response(vega_bundle(), headers=headers, media_type="text/javascript; charset=utf-8")


def question_name(one: QuestionInfo, texts: Words) -> str:
    """Name of a question; of a ready-made one, in the reader's language."""
    return texts(f"ready_question.{one.code}") if one.code else one.name


def _result_values(request: Request, console: Console, result: QuestionResult | None, title: str) -> dict[str, Any]:
    """What a page shows of a result: the chart and the table."""
    if result is None:
        return {"result": None, "chart": None, "head": (), "rows": ()}
    texts = console.words(request)
    formats = console.formats(texts)
    rows = [
        [
            (cell_text(column, cell, texts, formats), drill_address(column, cell))
            for column, cell in zip(result.columns, row, strict=True)
        ]
        for row in result.rows[:ROWS_SHOWN]
    ]
    head = [
        {"text": column_name(column.name, texts), "is_number": column.kind == "number"} for column in result.columns
    ]
    return {"result": result, "chart": question_chart(title, result, texts, formats), "head": head, "rows": rows}


def _page(request: Request, template: str, **facts: Any) -> Response:
    console: Console = request.app.state.console
    texts = console.words(request)
    return console.page(
        request,
        template,
        here="explore",
        most_exported=MAX_EXPORTED_ROWS,
        vega=f"/explore/vega.js?v={VERSION}",
        name_of=lambda one: question_name(one, texts),
        **facts,
    )
