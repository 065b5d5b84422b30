"""The pages: parse, call one action, render."""

import re
from datetime import UTC, datetime
from typing import Any
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
from patron.interfaces.i18n.translations import Words
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
    texts, facts = console.words(request), console.answers.models()
    formats = console.formats(texts)
    return console.page(
        request,
        "models.html",
        here="models",
        twin="/api/models",
        models=facts,
        fairness_sentences=list(fairness_sentences(facts.fairness, texts, formats)),
        fairness_notes=list(fairness_notes(facts.fairness, texts, formats)) if facts.fairness else [],
        **model_charts(console, texts),
    )


def model_charts(console: Console, texts: Words) -> dict[str, Any]:
    """The charts of the page, drawn once a run and language."""
    facts, formats = console.answers.models(), console.formats(texts)

    def draw() -> dict[str, Any]:
        model = repeat_purchase_model(console.answers.shop)
        return {
            "charts": {one.question: deciles(one, texts, formats) for one in facts.questions},
            "spreads": {one.question: spread(one, texts, formats) for one in facts.questions},
            "drivers": drivers_chart(facts, texts, formats),
            "dependence": dependence_charts(facts, texts, formats),
            "drift_chart": drift_chart(facts, texts, formats),
            "repeat_charts": repeat_purchase_charts(facts.repeat_purchase, model, texts, formats),
        }

    return console.answers.cached(("model charts", texts.locale), draw)


PREVIEW_PARAMETERS = ("scenario", "customer", "product", "why_not")


async def answer_unknown(request: Request, error: Exception) -> Response:
    """Answer for an address that is not there: JSON under /api, a page elsewhere."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if is_for_programs(request.url.path):
        return refusal(http_refusal(request, error), request.url.path)
    return console_of(request).error_page(request, status)
