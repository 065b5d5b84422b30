"""The pages: parse, call one action, render."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from patron.answers.customer_list import SORTS, CustomerPage, CustomerQuery, Sort, find_customers
from patron.answers.repeat_purchase import order_history, repeat_purchase_model
from patron.interfaces.charts import churn_charts, revenue_charts
from patron.interfaces.charts.chart_sets import (
    deciles,
    dependence_charts,
    drift_chart,
    drivers_chart,
    order_history_charts,
    repeat_purchase_charts,
    retention_chart,
    spread,
)
from patron.interfaces.console.decision_pages import decision, decisions
from patron.interfaces.console.fairness_texts import fairness_sentences
from patron.interfaces.console.fairness_texts import notes as fairness_notes
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access_control import GuardedRoute, form_of, needs
from patron.interfaces.http.customer_scope import rows_of, visible_of
from patron.interfaces.http.customer_view import NewCustomer, customer_now
from patron.interfaces.http.integer_bounds import MAX_PAGE, MAX_PERSONA_ID, bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.refusals import http_refusal, is_for_programs, refusal
from patron.schema.access_rights import Action, Area
from patron.schema.errors import NotFound
from patron.service.customer_lookup import lookup_customer
from patron.service.recommendation_preview import PreviewQuery, preview_recommendations

router = APIRouter(route_class=GuardedRoute)
OPAQUE_ID = re.compile("[0-9a-f]{3,32}")
"""Beginning of an opaque customer id that is long enough to search by."""


def console_of(request: Request) -> Console:
    """The console of this application."""
    return request.app.state.console


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
        match = lookup_customer(console.answers.shop, text, now=datetime.now(UTC), visible=visible_of(request))
    except NotFound:
        prefix = text.lower() if OPAQUE_ID.fullmatch(text.lower()) else ""
        query = CustomerQuery(search=prefix)
        ids = (
            find_customers(console.answers.shop, query, index=console.answers.customer_index(visible_of(request)))
            if prefix
            else None
        )
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
    facts = preview_recommendations(lists, PreviewQuery(**values), now=now, only=rows_of(visible_of(request)))
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
    listing = find_customers(console.answers.shop, query, index=console.answers.customer_index(visible_of(request)))
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
        return refusal(http_refusal(request, error), request.url.path)
    return console_of(request).error_page(request, status)
