"""The server itself: whether it is well, its counters for Prometheus, its version."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from patron import __version__
from patron.interfaces.http.access.access_control import GuardedRoute, needs_nothing, needs_sign_in
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.interfaces.http.server.health import Health
from patron.interfaces.http.server.prometheus import metrics_text

router = APIRouter(tags=["last run"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)])


class Version(BaseModel):
    """Version of Patron."""

    version: str


@router.get("/health")
@needs_nothing
async def health(request: Request) -> Health:
    """Whether the workspace can be read and the collector accepts; answered however busy the server is."""
    return await request.app.state.health.report()


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
