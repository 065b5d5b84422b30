"""Data: its quality, what arrives, what was set aside, and files that people upload, try and import."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import UploadFile

from patron.answers.data.data_quality import data_quality
from patron.answers.data.ingestion_status import ingestion_status
from patron.commands.data.built_in_mappings import built_in_mappings
from patron.commands.data.column_mapping import DATE_FORMATS, EVENTS, FIELDS, ORDERS, ColumnMapping
from patron.commands.data.import_files import replay as try_again
from patron.commands.data.uploaded_files import (
    CUSTOM,
    ENCODINGS,
    MappingChoice,
    Upload,
    UploadTrial,
    choice_options,
    delete_upload,
    look_into_upload,
    save_upload,
    try_upload,
)
from patron.interfaces.charts import evaluation_charts
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, form_of, needs
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.schema.access.access_rights import Action, Area
from patron.schema.common_sentences import CHOOSE_FILE
from patron.schema.errors import BadFile, BadQuery, PatronError
from patron.schema.list_pages import MAX_COUNT
from patron.schema.progress import silent
from patron.schema.sentences import Sentence
from patron.schema.tables import EVENTS as EVENTS_TABLE
from patron.service.jobs import start_job
from patron.storage.runs.jobs import IMPORT

NO_FILE = Sentence("no_file", "no file was chosen")

router = APIRouter(route_class=GuardedRoute)
REPLAYED = ("read", "stored", "duplicate", "rejected")
COLUMN_PREFIX = "column."
CHOICES = ("mapping", "encoding", "rows", "currency", "date_format", "decimal_comma", "shop_currency", "shop_time_zone")
UPLOAD_PARAMETERS = (*CHOICES, *(f"{COLUMN_PREFIX}{field_.name}" for field_ in FIELDS))
UPLOAD = "/ingestion/upload"
MAX_VALUE_LENGTH = 200


@router.get("/data-quality")
@needs(Action.READ, Area.DATA)
def quality(request: Request) -> Response:
    """Quality of the data."""
    console: Console = request.app.state.console
    texts, facts = console.words(request), data_quality(console.answers.shop)
    chart = evaluation_charts.drift(facts.drift, texts, console.formats(texts)) if facts.drift else None
    return console.page(
        request,
        "data/data_quality.html",
        here="data_quality",
        twin="/api/data-quality",
        quality=facts,
        drift_chart=chart,
    )


@router.get("/ingestion")
@needs(Action.READ, Area.DATA)
def ingestion(request: Request) -> Response:
    """What arrives, what is wrong with it, and what was set aside; after a replay, what became of it."""
    parts = request.query_params.get("replayed", "").split("-")
    counts = [count for part in parts if (count := bounded_integer(part, 0, MAX_COUNT)) is not None]
    replayed = dict(zip(REPLAYED, counts, strict=True)) if len(counts) == len(REPLAYED) else None
    return _ingestion(request, replayed=replayed)


@router.post("/ingestion/replay")
@needs(Action.ACT, Area.DATA)
def replay(request: Request) -> Response:
    """Try the dead letters of one import again."""
    import_id = form_of(request).get("import_id", "")
    try:
        shop = request.app.state.console.answers.shop
        shop.reload_settings()  # why: the fix is often a setting, and nobody wants to wait for it to be seen
        done = try_again(shop, import_id, mapping=None, progress=silent, now=datetime.now(UTC))
    except PatronError as error:
        return _ingestion(request, busy=str(error), status=status_of(error))
    # why: a page that was reloaded would try again
    return RedirectResponse(f"/ingestion?replayed={done.read}-{done.stored}-{done.duplicate}-{done.rejected}", 303)


def _ingestion(request: Request, *, status: int = 200, **more: object) -> Response:
    console, now = request.app.state.console, datetime.now(UTC)
    facts = ingestion_status(console.answers.shop, request.app.state.collector_state(), now=now)
    again: dict[str, int] = {}
    for letter in facts.dead_letters:
        if letter.can_replay:
            again[letter.import_id] = again.get(letter.import_id, 0) + letter.count
    values = {"ingestion": facts, "now": now, "again": again, "replayed": None, "busy": "", **more}
    return console.page(
        request, "data/ingestion.html", here="ingestion", twin="/api/ingestion", status=status, **values
    )


@router.get(UPLOAD)
@needs(Action.ACT, Area.DATA)
def upload_form(request: Request) -> Response:
    """The form to upload a file, and the files that Patron knows."""
    return _upload_form(request)


def _upload_form(request: Request, *, problem: PatronError | None = None) -> Response:
    console: Console = request.app.state.console
    known = [one for one in built_in_mappings() if one.name in SHOWN_MAPPINGS]
    status = status_of(problem) if problem else 200
    return console.page(request, "data/upload.html", here="ingestion", status=status, mappings=known, problem=problem)


SHOWN_MAPPINGS = ("shopify", "woocommerce", "segment", "online-retail")
"""Built-in mappings that shops use; the others are those of published data."""


@router.post(UPLOAD)
@needs(Action.ACT, Area.DATA)
def upload(request: Request) -> Response:
    """Keep a file, and go on to its columns."""
    sent, shop = request.state.form.get("file"), request.app.state.console.answers.shop
    try:
        if not isinstance(sent, UploadFile) or not sent.filename:
            raise BadFile(NO_FILE, todo=CHOOSE_FILE)
        upload_id = save_upload(shop, sent.filename, sent.file, now=datetime.now(UTC))
    except PatronError as error:
        return _upload_form(request, problem=error)
    try:
        look_into_upload(shop, upload_id)
    except PatronError as error:
        delete_upload(shop, upload_id)  # why: nobody can do anything with it
        return _upload_form(request, problem=error)
    return RedirectResponse(f"{UPLOAD}/{upload_id}", 303)


@dataclass(frozen=True)
class _Row:
    """One of our fields in the form: its column, and whether it needs one."""

    name: str
    column: str
    is_required: bool


@router.get(f"{UPLOAD}/{{upload_id}}")
@needs(Action.ACT, Area.DATA)
def upload_columns(request: Request, upload_id: str) -> Response:
    """Which column is what, and what the first rows would become."""
    return _columns(request, upload_id, request.query_params)


def _columns(
    request: Request, upload_id: str, chosen: Mapping[str, str], problem: PatronError | None = None
) -> Response:
    console: Console = request.app.state.console
    require_known(chosen, (*UPLOAD_PARAMETERS, "csrf", *FRAME_PARAMETERS))
    shop = console.answers.shop
    sent_file = look_into_upload(shop, upload_id, encoding=chosen.get("encoding", ""))
    choice = _choice(sent_file, chosen)
    trial: UploadTrial | None = None
    try:
        trial = try_upload(shop, upload_id, choice, now=datetime.now(UTC))
    except (BadFile, BadQuery) as error:
        problem = problem or error
    is_first = not shop.lake.exists(EVENTS_TABLE)
    twin = f"/api/uploads/{quote(upload_id)}?{urlencode({'encoding': choice.encoding})}"
    return console.page(
        request,
        "data/upload_columns.html",
        here="ingestion",
        twin=twin,
        status=status_of(problem) if problem else 200,
        upload=sent_file,
        choice=choice,
        trial=trial,
        problem=problem,
        is_first=is_first,
        rows=_rows(choice),
        mappings=[*([sent_file.built_in] if sent_file.built_in else []), CUSTOM],
        kinds=list(EVENTS),
        encodings=ENCODINGS,
        date_formats=DATE_FORMATS,
    )


def _rows(choice: MappingChoice) -> list[_Row]:
    of = choice.columns
    return [
        _Row(field_.name, of.columns.get(field_.name, ""), of.rows in field_.required)
        for field_ in FIELDS
        if of.rows in field_.rows
    ]


def _choice(sent_file: Upload, chosen: Mapping[str, str]) -> MappingChoice:
    """What the form chose; before it was sent, what is suggested."""
    values = {name: chosen.get(name, "")[:MAX_VALUE_LENGTH] for name in UPLOAD_PARAMETERS}
    columns = sent_file.suggestion
    if "rows" in chosen:
        named = {
            name.removeprefix(COLUMN_PREFIX): value
            for name, value in values.items()
            if name.startswith(COLUMN_PREFIX) and value
        }
        rows = values["rows"] if values["rows"] in EVENTS else ORDERS
        columns = ColumnMapping(
            rows,
            named,
            currency=values["currency"],
            date_format=values["date_format"],
            has_decimal_comma=bool(values["decimal_comma"]),
        )
    usual = sent_file.built_in or CUSTOM
    mapping = values["mapping"] if values["mapping"] in {sent_file.built_in, CUSTOM} else usual
    currency = values["shop_currency"] if "shop_currency" in chosen else _currency_of(sent_file)
    return MappingChoice(
        mapping or usual,
        columns,
        encoding=sent_file.encoding,
        shop_currency=currency,
        shop_time_zone=values["shop_time_zone"],
    )


def _currency_of(sent_file: Upload) -> str:
    """The currency that the file names in its first rows; empty where it names none, or several."""
    column = sent_file.suggestion.columns.get("currency", "")
    samples = next((one.samples for one in sent_file.columns if one.name == column), ())
    return samples[0].upper() if len(samples) == 1 else ""


@router.post(f"{UPLOAD}/{{upload_id}}/import")
@needs(Action.ACT, Area.DATA)
def start_import(request: Request, upload_id: str) -> Response:
    """Import the file in the background."""
    shop, form = request.app.state.console.answers.shop, form_of(request)
    try:
        choice = _choice(look_into_upload(shop, upload_id, encoding=form.get("encoding", "")), form)
        options: dict[str, Any] = choice_options(upload_id, choice)
        job = start_job(context_of(request), IMPORT, options)
    except PatronError as error:
        return _columns(request, upload_id, form, error)
    return RedirectResponse(f"/jobs/{job.job_id}", 303)
