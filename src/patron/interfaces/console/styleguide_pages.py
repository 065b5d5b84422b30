"""The style guide: every component of the console on one page, in the reader's language and theme."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from patron.interfaces.console.page_frame import Console
from patron.interfaces.http.access.access_control import GuardedRoute, needs_sign_in

router = APIRouter(route_class=GuardedRoute)


@router.get("/styleguide")
@needs_sign_in
def styleguide(request: Request) -> Response:
    """Every component, with examples."""
    console: Console = request.app.state.console
    return console.page(request, "styleguide.html")
