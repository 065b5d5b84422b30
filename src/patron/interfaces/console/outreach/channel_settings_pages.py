"""Settings: the shop's facts and its ways to customers, as the files have them; checked and tried from here."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from patron.answers.access.team import account
from patron.answers.data.workspace_settings import workspace_settings
from patron.commands.outreach.channels.channel_checks import check_channels, send_test
from patron.commands.outreach.channels.channel_examples import example_section
from patron.interfaces.console.page_frame import Console
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, needs
from patron.interfaces.http.error_status import status_of
from patron.schema.access.access_rights import Action, Area
from patron.schema.errors import ChannelUnavailable, NotFound
from patron.schema.sentences import Sentence
from patron.storage.shop import Shop

NO_OWN_EMAIL = Sentence("no_own_email", "you have no e-mail address here")
OWN_ACCOUNT = Sentence("own_account", "Sign in with an account of your own.")

router = APIRouter(route_class=GuardedRoute)
CHANNELS = "/settings/channels"


@router.get(CHANNELS)
@needs(Action.READ, Area.SETTINGS)
def channels_page(request: Request) -> Response:
    """The shop, its languages and its ways to customers."""
    return _page(request)


@router.post(f"{CHANNELS}/check")
@needs(Action.ADMINISTER, Area.SETTINGS)
def check(request: Request) -> Response:
    """Connect to every channel that is set up, and show what is missing."""
    states = {
        channel.name: channel for channel in check_channels(_console(request).answers.shop, clock_at=datetime.now(UTC))
    }
    return _page(request, states=states)


@router.post(f"{CHANNELS}/test")
@needs(Action.ADMINISTER, Area.SETTINGS)
def test(request: Request) -> Response:
    """Send one message to the reader's own address."""
    shop, now = _console(request).answers.shop, datetime.now(UTC)
    address = _address_of_reader(request, shop)
    if not address:
        raise NotFound(NO_OWN_EMAIL, where="account", todo=OWN_ACCOUNT)
    try:
        answer = send_test(shop, address, now=now)
    except ChannelUnavailable as error:
        return _page(request, status=status_of(error), error=error)
    return _page(request, tried=answer, is_taken=answer.outcome == "sent")


def _address_of_reader(request: Request, shop: Shop) -> str:
    user_id = actor_of(request).user_id
    return account(shop, user_id, now=datetime.now(UTC)).user.email if user_id else ""


def _page(request: Request, *, status: int = 200, **facts: Any) -> Response:
    console = _console(request)
    shop = console.answers.shop
    settings = workspace_settings(shop)
    return console.page(
        request,
        "data/channel_settings.html",
        here="settings",
        twin="/api/settings",
        status=status,
        tab="channels",
        settings=settings,
        examples={
            channel.name: example_section(channel.name) for channel in settings.channels if not channel.is_configured
        },
        address=_address_of_reader(request, shop),
        **{"states": {}, "tried": None, "is_taken": False, "error": None, **facts},
    )


def _console(request: Request) -> Console:
    return request.app.state.console
