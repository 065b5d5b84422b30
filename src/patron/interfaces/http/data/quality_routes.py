"""What arrives, and how good it is: imports and cleaning, the collector, its counters."""

from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request

from patron.answers.data.data_quality import DataQuality
from patron.answers.data.ingestion_status import IngestionStatus
from patron.answers.data.ingestion_status import ingestion_status as status_of_ingestion
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.data.collector_state import CollectorState

router = APIRouter(tags=["last run"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)])


@router.get("/api/data-quality")
@needs(Action.READ, Area.DATA)
def data_quality(request: Request) -> DataQuality:
    """Imports, refused rows, cleaning and drift."""
    return answers_of(request).quality()


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
