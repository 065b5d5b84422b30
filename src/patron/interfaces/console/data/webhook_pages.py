"""Settings: webhooks, which of the shop's systems hear what happens, and the log of what was sent."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.data.webhook_log import find_webhook, list_deliveries, list_webhooks
from patron.commands.access.user_account import is_confirmed
from patron.commands.data.manage_webhooks import (
    NewWebhookSecret,
    add_webhook,
    change_webhook,
    delete_webhook,
    disable_webhook,
    enable_webhook,
    rotate_webhook_secret,
)
from patron.commands.data.send_webhooks import resend_webhook, send_test_event
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.access.account_pages import ask_password
from patron.interfaces.console.page_frame import Console
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, form_of, needs
from patron.schema.access.access_rights import Action, Area
from patron.schema.common_sentences import NOTHING_HERE
from patron.schema.data.webhook_events import EVENT_NAMES
from patron.schema.errors import BadWebhook, NotFound
from patron.schema.sentences import Sentence
from patron.storage.data.webhooks import WebhookDelivery, WebhookEndpoint
from patron.storage.shop import Shop

OPEN_WEBHOOK = Sentence("open_webhook", "Open the webhook.")

router = APIRouter(route_class=GuardedRoute)
HERE = "settings"
WEBHOOKS, NEW = "/settings/webhooks", "/settings/webhooks/new"
CHANGES: dict[str, Callable[[RequestContext, str], object]] = {
    "enable": enable_webhook,
    "disable": disable_webhook,
    "delete": delete_webhook,
}


@router.get(WEBHOOKS)
@needs(Action.READ, Area.SETTINGS)
def webhooks_page(request: Request) -> Response:
    """Every webhook."""
    listed = list_webhooks(_shop(request))
    return _page(request, "data/webhooks.html", twin="/api/webhooks", endpoints=listed, host_of=_host_of)


@router.get(NEW)
@needs(Action.ADMINISTER, Area.SETTINGS)
def new_webhook_page(request: Request) -> Response:
    """The form of a new webhook."""
    return _password_question(request) or _form(request)


@router.post(NEW)
@needs(Action.ADMINISTER, Area.SETTINGS)
def add_webhook_now(request: Request) -> Response:
    """Add a webhook; its secret is shown this once."""
    if question := _password_question(request):
        return question
    url, events, note = _terms(request)
    try:
        new = add_webhook(context_of(request), url, events, note=note)
    except BadWebhook as error:
        return _form(request, error.where)
    return _secret(request, new)


@router.get(f"{WEBHOOKS}/{{endpoint_id}}")
@needs(Action.READ, Area.SETTINGS)
def webhook_page(request: Request, endpoint_id: str) -> Response:
    """One webhook and its log."""
    return _endpoint_page(request, endpoint_id)


@router.get(f"{WEBHOOKS}/{{endpoint_id}}/edit")
@needs(Action.ADMINISTER, Area.SETTINGS)
def edit_webhook_page(request: Request, endpoint_id: str) -> Response:
    """The form of a webhook."""
    endpoint = find_webhook(_shop(request), endpoint_id)
    return _password_question(request) or _form(request, endpoint=endpoint)


@router.post(f"{WEBHOOKS}/{{endpoint_id}}/edit")
@needs(Action.ADMINISTER, Area.SETTINGS)
def change_webhook_now(request: Request, endpoint_id: str) -> Response:
    """Change where and what is reported."""
    if question := _password_question(request):
        return question
    shop, (url, events, note) = _shop(request), _terms(request)
    try:
        change_webhook(context_of(request), endpoint_id, url=url, events=events, note=note)
    except BadWebhook as error:
        endpoint = find_webhook(shop, endpoint_id)
        return _form(request, error.where, endpoint=endpoint)
    return RedirectResponse(f"{WEBHOOKS}/{endpoint_id}", 303)


@router.post(f"{WEBHOOKS}/{{endpoint_id}}/rotate")
@needs(Action.ADMINISTER, Area.SETTINGS)
def rotate_secret_now(request: Request, endpoint_id: str) -> Response:
    """Make a new secret; for a day the one before signs, too."""
    if question := _password_question(request):
        return question
    return _secret(request, rotate_webhook_secret(context_of(request), endpoint_id))


@router.post(f"{WEBHOOKS}/{{endpoint_id}}/test")
@needs(Action.ADMINISTER, Area.SETTINGS)
def test_webhook_now(request: Request, endpoint_id: str) -> Response:
    """Send a test event at once; the log says what was answered."""
    sent = send_test_event(_shop(request), endpoint_id, clock=_now)
    return _endpoint_page(request, endpoint_id, sent=sent)


@router.post(f"{WEBHOOKS}/{{endpoint_id}}/deliveries/{{message_id}}/resend")
@needs(Action.ADMINISTER, Area.SETTINGS)
def resend_now(request: Request, endpoint_id: str, message_id: str) -> Response:
    """Send a message of the log once more."""
    sent = resend_webhook(_shop(request), endpoint_id, message_id, clock=_now)
    return _endpoint_page(request, endpoint_id, sent=sent)


@router.post(f"{WEBHOOKS}/{{endpoint_id}}/{{change}}")
@needs(Action.ADMINISTER, Area.SETTINGS)
def change_state_now(request: Request, endpoint_id: str, change: str) -> Response:
    """Enable, disable or delete a webhook."""
    if question := _password_question(request):
        return question
    if change not in CHANGES:
        raise NotFound(NOTHING_HERE, where=change, todo=OPEN_WEBHOOK)
    CHANGES[change](context_of(request), endpoint_id)
    return RedirectResponse(WEBHOOKS if change == "delete" else f"{WEBHOOKS}/{endpoint_id}", 303)


def _now() -> datetime:
    return datetime.now(UTC)


def _console(request: Request) -> Console:
    return request.app.state.console


def _shop(request: Request) -> Shop:
    return _console(request).answers.shop


def _password_question(request: Request) -> Response | None:
    session = request.state.session
    return ask_password(request, WEBHOOKS) if session and not is_confirmed(session, now=_now()) else None


def _terms(request: Request) -> tuple[str, list[str], str]:
    form = form_of(request)
    events = [str(one) for one in request.state.form.getlist("events")]
    return form.get("url", ""), events, form.get("note", "")


def _host_of(endpoint: WebhookEndpoint) -> str:
    return urlsplit(endpoint.url).hostname or endpoint.url


def _page(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    return _console(request).page(request, template, here=HERE, status=status, tab="webhooks", **values)


def _endpoint_page(request: Request, endpoint_id: str, *, sent: WebhookDelivery | None = None) -> Response:
    cursor = request.query_params.get("cursor", "")
    log = list_deliveries(_shop(request), endpoint_id, cursor)
    twin = f"/api/webhooks/{endpoint_id}"
    return _page(
        request, "data/webhook.html", twin=twin, endpoint=log.webhook, log=log, host_of=_host_of, now=_now(), sent=sent
    )


def _form(request: Request, problem: str = "", endpoint: WebhookEndpoint | None = None) -> Response:
    if problem:
        url, events, note = _terms(request)
    else:
        url, events, note = (endpoint.url, list(endpoint.events), endpoint.note) if endpoint else ("", [], "")
    values = {"url": url, "chosen": set(events), "note": note, "names": EVENT_NAMES, "endpoint": endpoint}
    return _page(request, "data/webhook_form.html", status=422 if problem else 200, problem=problem, **values)


def _secret(request: Request, new: NewWebhookSecret) -> Response:
    endpoint = find_webhook(_shop(request), new.endpoint_id)
    return _page(request, "data/webhook_secret.html", new=new, host=_host_of(endpoint))
