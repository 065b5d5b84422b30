"""The page that previews a list of recommendations."""

from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.access.customer_scope import rows_of, visible_of
from patron.interfaces.http.known_parameters import require_known
from patron.schema.access.access_rights import Action, Area
from patron.service.recommendation_preview import PreviewQuery, preview_recommendations

PREVIEW_PARAMETERS = ("scenario", "customer", "product", "why_not")
MAX_VALUE_LENGTH = 200

router = APIRouter(route_class=GuardedRoute)


@router.get("/recommendations")
@needs(Action.READ, Area.RECOMMENDATIONS)
def recommendations(request: Request) -> Response:
    """A list for a customer or a visitor as it would be now, and why a product is not in it."""
    console: Console = request.app.state.console
    parameters = request.query_params
    require_known(parameters, (*PREVIEW_PARAMETERS, *FRAME_PARAMETERS))
    values = {
        name: text for name in PREVIEW_PARAMETERS if (text := parameters.get(name, "").strip()[:MAX_VALUE_LENGTH])
    }
    lists, now = request.app.state.recommendations, datetime.now(UTC)
    facts = preview_recommendations(lists, PreviewQuery(**values), now=now, only=rows_of(visible_of(request)))
    twin = f"/api/recommendations/preview?{urlencode(values)}".rstrip("?")
    return console.page(
        request,
        "recommendations/recommendations.html",
        here="recommendations",
        twin=twin,
        preview=facts,
        values=values,
        days_old=(now - facts.as_of).days,
    )
