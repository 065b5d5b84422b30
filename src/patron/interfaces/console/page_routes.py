"""The pages: parse, call one action, render."""

import re
from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from patron.answers.repeat_purchase import repeat_purchase_model
from patron.interfaces.charts.chart_sets import (
    deciles,
    dependence_charts,
    drift_chart,
    drivers_chart,
    repeat_purchase_charts,
    spread,
)
from patron.interfaces.console.decision_pages import decision, decisions
from patron.interfaces.console.fairness_texts import fairness_sentences
from patron.interfaces.console.fairness_texts import notes as fairness_notes
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access_control import GuardedRoute, needs
from patron.interfaces.http.customer_scope import rows_of, visible_of
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.refusals import http_refusal, is_for_programs, refusal
from patron.schema.access_rights import Action, Area
from patron.service.recommendation_preview import PreviewQuery, preview_recommendations

router = APIRouter(route_class=GuardedRoute)
OPAQUE_ID = re.compile("[0-9a-f]{3,32}")
"""Beginning of an opaque customer id that is long enough to search by."""


def console_of(request: Request) -> Console:
    """The console of this application."""
    return request.app.state.console


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
    )


PREVIEW_PARAMETERS = ("scenario", "customer", "product", "why_not")


async def answer_unknown(request: Request, error: Exception) -> Response:
    """Answer for an address that is not there: JSON under /api, a page elsewhere."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if is_for_programs(request.url.path):
        return refusal(http_refusal(request, error), request.url.path)
    return console_of(request).error_page(request, status)
