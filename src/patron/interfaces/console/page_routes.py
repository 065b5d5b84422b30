"""The pages: parse, call one action, render."""

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from patron.answers.ingestion_status import ingestion_status
from patron.answers.repeat_purchase import repeat_purchase_model
from patron.commands.import_files import replay as try_again
from patron.interfaces.charts import evaluation_charts
from patron.interfaces.charts.chart_sets import (
    OverviewCharts,
    deciles,
    dependence_charts,
    drift_chart,
    drivers_chart,
    overview_charts,
    repeat_purchase_charts,
    retention_chart,
    spread,
)
from patron.interfaces.console.decision_pages import decision, decisions
from patron.interfaces.console.fairness_texts import fairness_sentences
from patron.interfaces.console.fairness_texts import notes as fairness_notes
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access_control import GuardedRoute, form_of, needs
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.integer_bounds import MAX_COUNT, bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.refusals import http_refusal, is_for_programs, refusal
from patron.interfaces.i18n.translations import Words, choose_locale, words
from patron.interfaces.report.brief_sentences import brief_parts
from patron.interfaces.report.summary_sentences import summary_sentences
from patron.run import silent
from patron.schema.access_rights import Action, Area
from patron.schema.errors import PatronError
from patron.service.recommendation_preview import PreviewQuery, preview_recommendations

router = APIRouter(route_class=GuardedRoute)
LOG = logging.getLogger(__name__)
REPLAYED = ("read", "stored", "duplicate", "rejected")
OPAQUE_ID = re.compile("[0-9a-f]{3,32}")
"""Beginning of an opaque customer id that is long enough to search by."""


def console_of(request: Request) -> Console:
    """The console of this application."""
    return request.app.state.console


@router.get("/")
@needs(Action.READ, Area.OVERVIEW)
def overview(request: Request) -> Response:
    """The shop at a glance."""
    console = console_of(request)
    answers, texts = console.answers, console.words(request)
    formats, facts = console.formats(texts), answers.overview()
    charts = _overview_charts(console, texts)
    sentences = summary_sentences(facts, answers.models(), texts, formats)
    return console.page(
        request,
        "overview.html",
        here="overview",
        twin="/api/overview",
        overview=facts,
        charts=charts,
        sentences=sentences,
    )


@router.get("/brief")
@needs(Action.READ, Area.OVERVIEW)
def brief(request: Request) -> Response:
    """What offers earned, what to change, what is not known, and which forecasts were wrong."""
    console = console_of(request)
    texts, facts = console.words(request), console.answers.brief()
    parts = brief_parts(facts, console.answers.shop.policy.offer_names, texts, console.formats(texts))
    return console.page(request, "brief.html", here="brief", twin="/api/brief", brief=facts, parts=parts)


def _overview_charts(console: Console, texts: Words) -> OverviewCharts:
    facts, formats = console.answers.overview(), console.formats(texts)
    return console.answers.cached(("overview charts", texts.locale), lambda: overview_charts(facts, texts, formats))


def warm(console: Console, is_stopping: Callable[[], bool]) -> None:
    """Compute what the overview and the list show, so that their first readers need not wait; ends when it stops."""
    try:
        charts = _overview_charts(console, words(choose_locale(console.answers.shop.settings.shop.locale)))
        drawn = [draw for chart in vars(charts).values() if chart is not None for draw in (chart.svg, chart.narrow_svg)]
        for compute in (*drawn, console.answers.models, console.answers.customer_index):
            if is_stopping():
                return
            compute()
    except PatronError as error:  # why: the reader sees the reason in the page's language
        LOG.info("nothing to prepare: %s", error)


router.add_api_route("/decisions", decisions)
router.add_api_route("/decisions/{decision_id}", decision)


@router.get("/recommendations")
@needs(Action.READ, Area.RECOMMENDATIONS)
def recommendations(request: Request) -> Response:
    """A list for a customer or a visitor as it would be now, and why a product is not in it."""
    console, parameters = console_of(request), request.query_params
    require_known(parameters, (*PREVIEW_PARAMETERS, *FRAME_PARAMETERS))
    values = {name: text for name in PREVIEW_PARAMETERS if (text := parameters.get(name, "").strip()[:200])}
    lists, now = request.app.state.recommendations, datetime.now(UTC)
    facts = preview_recommendations(lists, PreviewQuery(**values), now=now)
    twin = f"/api/recommendations/preview?{urlencode(values)}".rstrip("?")
    return console.page(
        request,
        "recommendations.html",
        here="recommendations",
        twin=twin,
        preview=facts,
        values=values,
        days_old=(now - facts.as_of).days,
    )


@router.get("/models")
@needs(Action.READ, Area.MODELS)
def models(request: Request) -> Response:
    """Questions, champions and how well they do."""
    console = console_of(request)
    answers, texts = console.answers, console.words(request)
    formats, facts = console.formats(texts), answers.models()
    charts = answers.cached(
        ("model charts", texts.locale),
        lambda: {question.question: deciles(question, texts, formats) for question in facts.questions},
    )
    return console.page(
        request,
        "models.html",
        here="models",
        twin="/api/models",
        models=facts,
        fairness_sentences=list(fairness_sentences(facts.fairness, texts, formats)),
        fairness_notes=list(fairness_notes(facts.fairness, texts, formats)) if facts.fairness else [],
        charts=charts,
        spreads=answers.cached(
            ("spread charts", texts.locale),
            lambda: {question.question: spread(question, texts, formats) for question in facts.questions},
        ),
        drivers=answers.cached(("churn driver chart", texts.locale), lambda: drivers_chart(facts, texts, formats)),
        dependence=answers.cached(
            ("partial dependence charts", texts.locale), lambda: dependence_charts(facts, texts, formats)
        ),
        drift_chart=answers.cached(("drift chart", texts.locale), lambda: drift_chart(facts, texts, formats)),
        repeat_charts=answers.cached(
            ("repeat purchase charts", texts.locale),
            lambda: repeat_purchase_charts(facts.repeat_purchase, repeat_purchase_model(answers.shop), texts, formats),
        ),
        retention=answers.cached(
            ("retention chart", texts.locale), lambda: retention_chart(answers.cohorts(), texts, formats)
        ),
    )


@router.get("/data-quality")
@needs(Action.READ, Area.DATA)
def data_quality(request: Request) -> Response:
    """Quality of the data."""
    console = console_of(request)
    texts, facts = console.words(request), console.answers.quality()
    chart = evaluation_charts.drift(facts.drift, texts, console.formats(texts)) if facts.drift else None
    return console.page(
        request, "data_quality.html", here="data_quality", twin="/api/data-quality", quality=facts, drift_chart=chart
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
        shop = console_of(request).answers.shop
        shop.reload_settings()  # why: the fix is often a setting, and nobody wants to wait for it to be seen
        done = try_again(shop, import_id, mapping=None, progress=silent, now=datetime.now(UTC))
    except PatronError as error:
        return _ingestion(request, busy=str(error), status=status_of(error))
    # why: a page that was reloaded would try again
    return RedirectResponse(f"/ingestion?replayed={done.read}-{done.stored}-{done.duplicate}-{done.rejected}", 303)


def _ingestion(request: Request, *, status: int = 200, **more: object) -> Response:
    console, now = console_of(request), datetime.now(UTC)
    facts = ingestion_status(console.answers.shop, request.app.state.collector_state(), now=now)
    again: dict[str, int] = {}
    for one in facts.dead_letters:
        if one.can_replay:
            again[one.import_id] = again.get(one.import_id, 0) + one.count
    values = {"ingestion": facts, "now": now, "again": again, "replayed": None, "busy": "", **more}
    return console.page(request, "ingestion.html", here="ingestion", twin="/api/ingestion", status=status, **values)


PREVIEW_PARAMETERS = ("scenario", "customer", "product", "why_not")


async def answer_unknown(request: Request, error: Exception) -> Response:
    """Answer for an address that is not there: JSON under /api, a page elsewhere."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if is_for_programs(request.url.path):
        return refusal(http_refusal(request, error))
    return console_of(request).error_page(request, status)
