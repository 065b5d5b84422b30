"""The JSON interface: parse, call one action, answer."""

from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from patron import __version__
from patron.answers.data.data_quality import DataQuality
from patron.answers.data.ingestion_status import IngestionStatus
from patron.answers.data.ingestion_status import ingestion_status as status_of_ingestion
from patron.answers.insight.brief import Brief
from patron.answers.insight.overview import Overview
from patron.answers.models.models import Models
from patron.interfaces.http.access.access_control import (
    GuardedRoute,
    needs,
    needs_nothing,
    needs_sign_in,
    of_whole_shop,
)
from patron.interfaces.http.access.customer_scope import visible_of
from patron.interfaces.http.answer_cache import Answers
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.interfaces.http.server.health import Health
from patron.interfaces.http.server.prometheus import metrics_text
from patron.schema.access.access_rights import Action, Area
from patron.schema.data.collector_state import CollectorState
from patron.service.customer_lookup import CustomerLookup, lookup_customer


def answers_of(request: Request) -> Answers:
    """What the application keeps for its readers."""
    return request.app.state.answers


router = APIRouter(tags=["last run"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)])


class LookUp(BaseModel):
    """The shop's own customer id, an e-mail address or a telephone number: in a body only, never in an address."""

    shop_id: str = Field(min_length=1, max_length=200)


class Version(BaseModel):
    """Version of Patron."""

    version: str


@router.get("/api/overview")
@needs(Action.READ, Area.OVERVIEW)
def overview(request: Request) -> Overview:
    """Key figures, trend, people, risk and decisions of the last run."""
    return answers_of(request).overview(visible_of(request))


@router.get("/api/brief")
@needs(Action.READ, Area.OVERVIEW)
@of_whole_shop
def brief(request: Request) -> Brief:
    """What offers earned, what to change, what is not known, and which forecasts were wrong."""
    return answers_of(request).brief()


@router.post("/api/customers/lookup")
@needs(Action.READ, Area.CUSTOMERS)
def lookup(request: Request, body: LookUp) -> CustomerLookup:
    """Opaque id and live profile of the customer with one of the shop's own ids, an e-mail address or phone number."""
    return lookup_customer(answers_of(request).shop, body.shop_id, now=datetime.now(UTC), visible=visible_of(request))


@router.get("/api/models")
@needs(Action.READ, Area.MODELS)
def models(request: Request) -> Models:
    """Questions, champions, backtests, checked forecasts and drift."""
    return answers_of(request).models()


@router.get("/api/data-quality")
@needs(Action.READ, Area.DATA)
def data_quality(request: Request) -> DataQuality:
    """Imports, refused rows, cleaning and drift."""
    return answers_of(request).quality()


@router.get("/health")
@needs_nothing
async def health(request: Request) -> Health:
    """Whether the workspace can be read and the collector accepts; answered however busy the server is."""
    return await request.app.state.health.report()


@router.get("/api/collector")
@needs(Action.READ, Area.DATA)
def collector(request: Request) -> CollectorState:
    """What became of every message that arrived, by source."""
    return request.app.state.collector_state()


@router.get("/api/ingestion")
@needs(Action.READ, Area.DATA)
def ingestion(request: Request) -> IngestionStatus:
    """Counters, events and warnings of the last 30 days by source and name, and dead letters by reason."""
    state = request.app.state.collector_state()
    return status_of_ingestion(answers_of(request).shop, state, now=datetime.now(UTC))


@router.get("/metrics", response_class=PlainTextResponse)
@needs_nothing
def metrics(request: Request) -> str:
    """Counters of the collector in the text format of Prometheus."""
    return metrics_text(request.app.state.collector_state())


@router.get("/version")
@needs_sign_in
def version() -> Version:
    """Version of Patron."""
    return Version(version=__version__)
