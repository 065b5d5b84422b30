"""The audit log: who did what, filtered, and whether its chain is intact."""

from datetime import date
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from patron.answers.access.audit_trail import MAX_NAME_LENGTH, audit_query, audit_trail, verify_audit_log
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.schema.access.access_rights import Action, Area
from patron.schema.access.log_check import LogCheck
from patron.schema.list_pages import MAX_COUNT

router = APIRouter(route_class=GuardedRoute)
FILTERS = ("action", "by", "since", "until")
CUSTOMER_ID = 32


@router.get("/audit")
@needs(Action.READ, Area.AUDIT)
def audit_log(request: Request) -> Response:
    """The newest entries that match."""
    return _page(request)


@router.get("/audit/verification")
@needs(Action.READ, Area.AUDIT)
def verification(request: Request) -> Response:
    """The log, and whether its chain is intact."""
    return _page(request, verify_audit_log(_console(request).answers.shop))


def _console(request: Request) -> Console:
    return request.app.state.console


def _page(request: Request, check: LogCheck | None = None) -> Response:
    console, parameters = _console(request), request.query_params
    require_known(parameters, (*FILTERS, "before", *FRAME_PARAMETERS))
    values = {name: parameters.get(name, "").strip()[:MAX_NAME_LENGTH] for name in FILTERS}
    shop, before = console.answers.shop, bounded_integer(parameters.get("before", ""), 1, MAX_COUNT)
    since, until = (_day(values[name]) for name in ("since", "until"))
    query = audit_query(shop.settings.shop.time_zone, values["action"], values["by"], since, until, before)
    facts = audit_trail(shop, query)
    return console.page(
        request,
        "access/audit.html",
        here="audit_log",
        twin="/api/audit/verification" if check else _address("/api/audit", {**values, "before": before}),
        trail=facts,
        values=values,
        check=check,
        csv=_address("/api/audit", {**values, "format": "csv"}),
        older=_address("/audit", {**values, "before": facts.next_before}) if facts.next_before else "",
        newest=_address("/audit", values) if before else "",
        fragments={"entries": "access/_audit_entries.html"},
    )


def _address(path: str, values: dict[str, Any]) -> str:
    parameters = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{parameters}" if parameters else path


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
