"""The HTTP application: JSON under /api, the console's pages beside it, one shop behind both."""

from enum import Enum
from functools import cache, partial

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles

from patron import __version__
from patron.commands.access.sign_in_limits import SignInLimits
from patron.interfaces.console.mount import add_console, warm_up_while_running
from patron.interfaces.console.templating import STATIC
from patron.interfaces.http import server_routes
from patron.interfaces.http.access import access_routes
from patron.interfaces.http.as_of_switch import AsOfSwitch
from patron.interfaces.http.customers import customer_routes
from patron.interfaces.http.data import data_routes
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.insight import digest_routes, insight_routes, question_routes
from patron.interfaces.http.models import model_routes
from patron.interfaces.http.offers import offer_routes
from patron.interfaces.http.openapi.openapi_document import openapi_document
from patron.interfaces.http.outreach import campaign_routes, receipt_routes, unsubscribe_routes
from patron.interfaces.http.page_turns import PageTurns
from patron.interfaces.http.privacy import privacy_routes
from patron.interfaces.http.recommendations import recommendation_routes
from patron.interfaces.http.refusals import (
    is_for_programs,
    refusal,
    refuse_fault,
    refuse_invalid,
    refuse_unfinished,
)
from patron.interfaces.http.segments import segment_routes
from patron.interfaces.http.server.health import HealthCheck
from patron.interfaces.http.server.security_headers import protect
from patron.schema.access.access_rights import Actor
from patron.schema.errors import PatronError
from patron.service.collector import Collector, stored_state
from patron.service.live_recommendations import LiveRecommendations
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.shop import Shop

API_MODULES = (
    server_routes,
    insight_routes,
    model_routes,
    data_routes,
    customer_routes,
    privacy_routes,
    offer_routes,
    segment_routes,
    campaign_routes,
    receipt_routes,
    access_routes,
    unsubscribe_routes,
    question_routes,
)
"""Everything under /api but digests and recommendations."""


class Part(Enum):
    """What of the application a process computes ahead; each answers everything."""

    WHOLE = "whole"
    ANSWERS = "answers"
    """What is read of the last run, next to a server."""
    SERVER = "server"
    """All else."""


def create_app(
    shop: Shop, collector: Collector | None = None, *, visitor: Actor | None = None, part: Part = Part.WHOLE
) -> FastAPI:
    """Application over one shop: API and console; `visitor` is what somebody may do who has not signed in."""
    # why: the usual documentation pages load scripts from elsewhere; the schema itself needs nobody
    app = FastAPI(title="Patron", version=__version__, docs_url=None, redoc_url=None, lifespan=warm_up_while_running)
    app.state.answers = AnswerCache(shop)
    app.state.prepares_lists, app.state.prepares_pages = part is not Part.ANSWERS, part is not Part.SERVER
    app.state.page_turns = PageTurns()
    app.state.recommendations = LiveRecommendations(shop)
    if collector:
        collector.on_accepted = app.state.recommendations.observe
    app.state.collector_state = collector.state if collector else lambda: stored_state(shop)
    app.state.sign_in_limits = SignInLimits()
    app.state.health = HealthCheck(shop, app.state.collector_state)
    app.router.routes.extend(_api_router().routes)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(PatronError, _refusal_response)
    app.add_exception_handler(RequestValidationError, refuse_invalid)
    app.add_exception_handler(ClientDisconnect, refuse_unfinished)
    app.add_exception_handler(Exception, refuse_fault)
    app.openapi = partial(openapi_document, app)
    add_console(app)
    app.add_middleware(AsOfSwitch, present=app, shop=shop)
    protect(app, shop, visitor)
    return app


@cache
def _api_router() -> APIRouter:
    """Everything under /api; FastAPI takes most of a second to make it ready, so that applications share it."""
    whole = APIRouter()
    for module in API_MODULES:
        whole.include_router(module.router)
    digests = (digest_routes.router, digest_routes.link_router)
    for each in (*digests, *recommendation_routes.ROUTERS):
        whole.include_router(each)
    return whole


async def _refusal_response(request: Request, error: Exception) -> Response:
    if not isinstance(error, PatronError):
        raise error
    if is_for_programs(request.url.path):
        return refusal(error, request.url.path)
    return request.app.state.console.refusal_page(request, error, status_of(error))
