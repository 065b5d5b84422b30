"""What the way in needs of a request: the form of a page of ours, the browser, the cookie, where to go next."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse

from patron.commands.access.identify_actor import identify_session
from patron.commands.access.sign_in import Browser, SignIn, SignInLimits
from patron.interfaces.http.access.access_control import cookie_name, is_same_origin, may_open
from patron.interfaces.i18n import LOCALES
from patron.schema.errors import NotAllowed
from patron.schema.sentences import Sentence
from patron.storage.shop import Shop

FORM_OF_OTHER_PAGE = Sentence("form_of_other_page", "the form is not from a page of this console")
OPEN_AND_TRY = Sentence("open_and_try", "Open the page and try again.")

MAX_FIELDS = 20
MAX_PATH_LENGTH = 2_000
DAY_SECONDS, YEAR_SECONDS = 86_400, 365 * 86_400
LANGUAGE_COOKIE, ISSUER_COOKIE = "lang", "patron_issuer"


async def _form_before_sign_in(request: Request) -> Mapping[str, str]:
    """Fields of a form; another site cannot send it, as it could sign a browser in as somebody else."""
    if not is_same_origin(request):
        raise NotAllowed(403, FORM_OF_OTHER_PAGE, todo=OPEN_AND_TRY)
    form = await request.form(max_fields=MAX_FIELDS, max_files=0)
    return {name: value for name, value in form.multi_items() if isinstance(value, str)}


FormBeforeSignIn = Annotated[Mapping[str, str], Depends(_form_before_sign_in)]


def browser_of(request: Request) -> Browser:
    """Where a request is from."""
    return Browser(request.client.host if request.client else "", request.headers.get("user-agent", ""))


def limits_of(request: Request) -> SignInLimits:
    """Attempts that this server counts."""
    return request.app.state.sign_in_limits


def session_secret(request: Request) -> str:
    """What the cookie of a session holds; empty without one."""
    return request.cookies.get(cookie_name(request), "")


def path_of_ours(text: str) -> str:
    """A path to go to after the sign-in, if it is one of this console; else the first page."""
    parts = urlsplit(text)
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\")) and not (parts.scheme or parts.netloc)
    return text if is_ours and text.isprintable() and "\\" not in text and len(text) <= MAX_PATH_LENGTH else "/"


def enter(request: Request, shop: Shop, signed_in: SignIn, path: str) -> RedirectResponse:
    """Go to a page, or the first one where the user may not see it, with a new session in the user's language."""
    session = identify_session(shop, signed_in.secret, now=datetime.now(UTC))
    is_theirs = session is not None and may_open(request, session.actor, path)
    answer = RedirectResponse(path if is_theirs else "/", 303)
    is_secure = request.url.scheme == "https"
    seconds = int(shop.settings.access.session_days * DAY_SECONDS)
    answer.set_cookie(
        cookie_name(request),
        signed_in.secret,
        max_age=seconds,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="lax",
    )
    if signed_in.locale in LOCALES:
        set_language(answer, signed_in.locale)
    return answer


def issuer_cookie(request: Request) -> str:
    """Name of the cookie by which a browser is known again that comes back from the issuer."""
    return f"__Host-{ISSUER_COOKIE}" if request.url.scheme == "https" else ISSUER_COOKIE


def leave(request: Request, path: str) -> RedirectResponse:
    """Go to a page without a session."""
    answer = RedirectResponse(path, 303)
    is_secure = request.url.scheme == "https"
    answer.delete_cookie(cookie_name(request), path="/", secure=is_secure, httponly=True, samesite="lax")
    return answer


def set_language(answer: RedirectResponse, locale: str) -> None:
    """Let the browser show a language from now on."""
    answer.set_cookie(LANGUAGE_COOKIE, locale, max_age=YEAR_SECONDS, samesite="lax", httponly=True)


def link_address(request: Request, shop: Shop) -> str:
    """How the address of a link begins: as the settings have it, else as this machine is reached."""
    return shop.settings.access.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
