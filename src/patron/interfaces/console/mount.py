"""Add the console's pages to an application, and prepare what its first readers ask for."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache, partial

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from patron.interfaces.console import styleguide_pages
from patron.interfaces.console.access import (
    account_pages,
    audit_pages,
    key_pages,
    passkey_pages,
    sign_in_pages,
    single_sign_on_pages,
    user_pages,
)
from patron.interfaces.console.customers import (
    customer_actions,
    customer_card_pages,
    customer_identity_pages,
    customer_pages,
    reveal_pages,
    task_effect_pages,
    task_pages,
    watch_list_pages,
)
from patron.interfaces.console.data import data_pages, run_pages, webhook_pages
from patron.interfaces.console.insight import (
    digest_pages,
    experiment_pages,
    explore_pages,
    overview_pages,
    retention_pages,
    today_pages,
)
from patron.interfaces.console.models import model_pages, season_pages
from patron.interfaces.console.navigation import listed_pages, open_groups
from patron.interfaces.console.offers import decision_pages, policy_pages
from patron.interfaces.console.outreach import (
    campaign_form_pages,
    campaign_pages,
    channel_settings_pages,
    journey_form_pages,
    journey_pages,
)
from patron.interfaces.console.page_frame import Console
from patron.interfaces.console.page_preparation import page_steps, prepare_each_run
from patron.interfaces.console.privacy import privacy_pages
from patron.interfaces.console.recommendations import recommendation_pages
from patron.interfaces.console.segments import segment_pages
from patron.interfaces.http.refusals import http_refusal, is_for_programs, refusal
from patron.schema.access.access_rights import VISITOR

CUSTOMER_PAGES = (customer_pages, customer_actions, customer_identity_pages, reveal_pages, customer_card_pages)
CAMPAIGN_PAGES = (campaign_form_pages, campaign_pages, journey_form_pages, journey_pages)
"""Fixed addresses come before those that begin as they do and have a name."""
MODULES = (
    sign_in_pages,
    account_pages,
    digest_pages,
    passkey_pages,
    single_sign_on_pages,
    today_pages,
    overview_pages,
    recommendation_pages,
    *CUSTOMER_PAGES,
    watch_list_pages,
    task_pages,
    task_effect_pages,
    segment_pages,
    *CAMPAIGN_PAGES,
    retention_pages,
    experiment_pages,
    model_pages,
    season_pages,
    data_pages,
    run_pages,
    explore_pages,
    policy_pages,
    decision_pages,
    privacy_pages,
    audit_pages,
    user_pages,
    key_pages,
    channel_settings_pages,
    webhook_pages,
    styleguide_pages,
)
ROUTERS = tuple(module.router for module in MODULES)
"""The pages, module by module."""
PAGES = listed_pages({route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)})
"""Addresses of the pages that the navigation lists, by their code."""
VISITOR_PAGES = {
    item.code: item.path
    for group in open_groups(PAGES.values(), lambda item: VISITOR.may(item.action, item.area))
    for item in group.items
}
"""Those of them that a visitor of a demo may open."""


def add_console(app: FastAPI) -> None:
    """Add the pages to an application."""
    app.state.console = Console(app.state.answers, PAGES)
    app.router.routes.extend(_page_router().routes)
    for status in (400, 404, 405, 413):
        app.add_exception_handler(status, answer_unknown)


@cache
def _page_router() -> APIRouter:
    """Every page; FastAPI takes most of a second to make them ready, so that applications share them."""
    whole = APIRouter()
    for router in ROUTERS:
        whole.include_router(router, include_in_schema=False)
    return whole


async def answer_unknown(request: Request, error: Exception) -> Response:
    """Answer for an address that is not there: JSON under /api, a page elsewhere."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if is_for_programs(request.url.path):
        return refusal(http_refusal(request, error), request.url.path)
    return request.app.state.console.error_page(request, status)


@asynccontextmanager
async def warm_up_while_running(app: FastAPI) -> AsyncIterator[None]:
    """While the application runs: compute what its first readers will ask for, without keeping them waiting."""
    stopping, app.state.prepared = threading.Event(), threading.Event()
    console, state = app.state.console, app.state

    def steps() -> Iterator[Callable[[], object]]:
        if state.prepares_lists:
            yield partial(state.recommendations.warm_up, now=datetime.now(UTC))
        if state.prepares_pages:
            yield from page_steps(console)

    prepare_runs = partial(prepare_each_run, console.answers, steps, stopping, state.prepared)
    thread = threading.Thread(target=prepare_runs, name="prepare", daemon=True)
    thread.start()
    yield
    stopping.set()
    stop_queries(app)
    # why: a thread that draws while the process ends brings it down with a signal of its own
    thread.join()


def stop_queries(app: FastAPI) -> None:
    """End the processes that answer questions of Explore, if there are any."""
    if hasattr(app.state, "query_workers"):
        app.state.query_workers.close()
