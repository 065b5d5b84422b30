"""The pages: parse, call one action, render."""

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import cast
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from patron.answers.customer_list import SORTS, CustomerPage, CustomerQuery, Sort, find_customers
from patron.answers.ingestion_status import ingestion_status
from patron.answers.repeat_purchase import order_history, repeat_purchase_model
from patron.commands.import_files import replay as try_again
from patron.interfaces.charts import churn_charts, evaluation_charts, revenue_charts
from patron.interfaces.charts.chart_sets import (
    OverviewCharts,
    deciles,
    dependence_charts,
    drift_chart,
    drivers_chart,
    order_history_charts,
    overview_charts,
    repeat_purchase_charts,
    spread,
)
from patron.interfaces.console.decision_pages import decision, decisions
from patron.interfaces.console.fairness_texts import fairness_sentences
from patron.interfaces.console.fairness_texts import notes as fairness_notes
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access_control import GuardedRoute, form_of, needs
from patron.interfaces.http.customer_view import NewCustomer, customer_now
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.integer_bounds import MAX_COUNT, MAX_PAGE, MAX_PERSONA_ID, bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.refusals import http_refusal, is_for_programs, refusal
from patron.interfaces.http.retention_view import retention_of
from patron.interfaces.i18n.translations import Words, choose_locale, words
from patron.interfaces.report.brief_sentences import brief_parts
from patron.interfaces.report.summary_sentences import summary_sentences
from patron.run import silent
from patron.schema.access_rights import Action, Area
from patron.schema.errors import NotFound, PatronError
from patron.service.customer_lookup import lookup_customer
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
        cohorts = partial(retention_of, console.answers, "share", "month", None, 12)
        for compute in (*drawn, console.answers.models, console.answers.customer_index, cohorts):
            if is_stopping():
                return
            compute()
    except PatronError as error:  # why: the reader sees the reason in the page's language
        LOG.info("nothing to prepare: %s", error)


@router.get("/customers")
@needs(Action.READ, Area.CUSTOMERS)
def customers(request: Request) -> Response:
    """The customer list."""
    return _list(request, query_of(request))


@router.post("/customers/lookup")
@needs(Action.READ, Area.CUSTOMERS)
def lookup(request: Request) -> Response:
    """Open the card of a customer named by the shop's own id, e-mail address, phone number or opaque id."""
    return _open_customer(request, form_of(request).get("who", "").strip())


def _open_customer(request: Request, text: str) -> Response:
    """The one customer that a text names, or several to choose from, or the list of ids that begin with it."""
    console = console_of(request)
    try:
        match = lookup_customer(console.answers.shop, text, now=datetime.now(UTC))
    except NotFound:
        prefix = text.lower() if OPAQUE_ID.fullmatch(text.lower()) else ""
        query = CustomerQuery(search=prefix)
        ids = find_customers(console.answers.shop, query, index=console.answers.customer_index()) if prefix else None
        if ids is None or not ids.total_count:
            return _list(request, CustomerQuery(), is_unknown=True)
        one = ids.rows[0].customer_id
        return RedirectResponse(f"/customers/{one}" if ids.total_count == 1 else address(query), 303)
    if match.other_customer_ids:
        return _list(request, CustomerQuery(), matches=(match.customer_id, *match.other_customer_ids))
    return RedirectResponse(f"/customers/{quote(match.customer_id)}", 303)


@router.get("/customers/{customer_id}")
@needs(Action.READ, Area.CUSTOMERS)
def customer(request: Request, customer_id: str) -> Response:
    """One customer."""
    console = console_of(request)
    card = customer_now(console.answers.shop, customer_id, now=datetime.now(UTC))
    twin = f"/api/customers/{quote(customer_id)}"
    if isinstance(card, NewCustomer):
        return console.page(request, "new_customer.html", here="customers", twin=twin, card=card)
    texts = console.words(request)
    formats = console.formats(texts)
    chart = revenue_charts.spent_by_month(card.months, texts, formats)
    order_charts = console.answers.cached_per_customer(
        ("order history", customer_id, texts.locale),
        lambda: order_history_charts(order_history(console.answers.shop, customer_id), texts, formats),
    )
    stays = card.survival
    return console.page(
        request,
        "customer.html",
        here="customers",
        twin=twin,
        card=card,
        chart=chart,
        order_charts=order_charts,
        survival_chart=churn_charts.survival_curve(stays, card.as_of, texts, formats)
        if stays and stays.points
        else None,
    )


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
LIST_PARAMETERS = ("search", "lifecycle_stage", "persona", "action", "sort", "page", *FRAME_PARAMETERS)


def query_of(request: Request) -> CustomerQuery:
    """Query of the customer list in an address; an invalid number filters nothing.

    Raises BadQuery for a parameter that is not one of the list.
    """
    parameters = request.query_params
    require_known(parameters, LIST_PARAMETERS)
    return CustomerQuery(
        search=parameters.get("search", "")[:64],
        lifecycle_stage=parameters.get("lifecycle_stage", "")[:40],
        persona_id=bounded_integer(parameters.get("persona", ""), 0, MAX_PERSONA_ID),
        action=parameters.get("action", "")[:60],
        sort=cast("Sort", parameters.get("sort") or SORTS[0]),  # why: find_customers refuses another
        page=bounded_integer(parameters.get("page", ""), 1, MAX_PAGE) or 1,
    )


def address(query: CustomerQuery, path: str = "/customers") -> str:
    """Address of one state of the list; what is not query for is not named."""
    values = {
        "search": query.search,
        "lifecycle_stage": query.lifecycle_stage,
        "persona": "" if query.persona_id is None else str(query.persona_id),
        "action": query.action,
        "sort": "" if query.sort == "value" else query.sort,
        "page": "" if query.page <= 1 else str(query.page),
    }
    parameters = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{parameters}" if parameters else path


def _list(
    request: Request, query: CustomerQuery, *, is_unknown: bool = False, matches: tuple[str, ...] = ()
) -> Response:
    console = console_of(request)
    listing = find_customers(console.answers.shop, query, index=console.answers.customer_index())
    return console.page(
        request,
        "customers.html",
        here="customers",
        twin=address(listing.query, "/api/customers"),
        status=404 if is_unknown else 200,
        fragments={"results": "_results.html"},
        listing=listing,
        sorts=SORTS,
        links=_links(listing),
        is_unknown=is_unknown,
        matches=matches,
    )


def _links(listing: CustomerPage) -> dict[str, object]:
    page = listing.query.page
    return {
        "sort": {sort: address(replace(listing.query, sort=sort, page=1)) for sort in SORTS},
        "previous": address(replace(listing.query, page=page - 1)) if page > 1 else "",
        "next": address(replace(listing.query, page=page + 1)) if page < listing.page_count else "",
    }


async def answer_unknown(request: Request, error: Exception) -> Response:
    """Answer for an address that is not there: JSON under /api, a page elsewhere."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if is_for_programs(request.url.path):
        return refusal(http_refusal(request, error))
    return console_of(request).error_page(request, status)
