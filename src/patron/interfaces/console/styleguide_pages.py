"""The style guide: every component of the console on one page, in the reader's language and theme."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from patron.interfaces.console.page_frame import Console

router = APIRouter()


@router.get("/styleguide")
def styleguide(request: Request) -> Response:
    """Every component, with examples."""
    console: Console = request.app.state.console
    return console.page(request, "styleguide.html")
