"""What every page of the console shares: language, formats, frame, and the part of a page that is asked for."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from patron.answers.data.run_history import run_choices
from patron.interfaces.console.as_of_addresses import page_as_of
from patron.interfaces.console.navigation import NavigationGroup, of_run, open_groups
from patron.interfaces.console.templating import environment
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words, choose_locale, words
from patron.schema.errors import NoRunYet, PatronError, ReadOnlyPast
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.last_run import last_run
from patron.storage.runs.past_shop import PastShop
from patron.storage.runs.snapshot import Past

ACCOUNT = "/account"
COOKIE, THEME_COOKIE, SCREEN_COOKIE = "lang", "theme", "screen"
"""Cookies: language and theme as chosen, and the reader's screen (`wide` or `narrow`), for which charts are drawn."""
THEMES = ("system", "light", "dark")
FRAME_PARAMETERS = ("lang", "theme")
"""What the address of every page takes: the choices of its top bar, which become cookies."""
YEAR_SECONDS = 365 * 86_400
RUNS_TO_CHOOSE = 60


@dataclass(frozen=True)
class DataShown:
    """Of which run a page is, and how to see another."""

    run_id: str
    date: str
    """Its cutoff in the reader's language."""
    runs: Mapping[str, str]
    """Cutoffs of the newest runs by their names, the newest first."""
    path: str
    kept: tuple[tuple[str, str], ...]
    """The other parameters of the address."""
    back: str
    """Address of the page today."""
    is_past: bool
    is_rebuilt: bool
    """Whether the run's own facts are gone."""
    of_run: str
    """What of the page is as of the run: run, partly or nothing."""


class Console:
    """Renders pages over one shop; keeps nothing per reader."""

    def __init__(self, answers: AnswerCache, pages: Mapping[str, str]) -> None:
        self.answers = answers
        self.pages = pages
        """Addresses of the pages that the navigation names, by their code."""

    def words(self, request: Request) -> Words:
        """Language of this request: from the address, then the cookie, then the shop's, then the browser's."""
        requested = request.query_params.get("lang") or request.cookies.get(COOKIE)
        default = self.answers.shop.settings.shop.locale
        accepted = request.headers.get("accept-language", "")
        return words(choose_locale(requested, f"{default},{accepted}" if default != LOCALES[0] else accepted))

    def formats(self, texts: Words) -> Formats:
        """How the shop's numbers look in this language."""
        shop = self.answers.shop.settings.shop
        return Formats(texts.locale, shop.currency, shop.time_zone)

    def theme(self, request: Request) -> str:
        """Light, dark, or as the reader's system has it: from the address, then the cookie."""
        chosen = request.query_params.get("theme") or request.cookies.get(THEME_COOKIE, "")
        return chosen if chosen in THEMES else THEMES[0]

    def may(self, request: Request, action: str, area: str) -> bool:
        """Whether the reader has a right; who has not signed in has none."""
        actor = getattr(request.state, "actor", None)
        return actor is not None and actor.may(action, area)

    def first_page(self, request: Request) -> str:
        """Address of the first page of the navigation that the reader may open; else that of their account."""
        groups = self._navigation(request)
        return groups[0].items[0].path if groups else ACCOUNT

    def _navigation(self, request: Request) -> tuple[NavigationGroup, ...]:
        is_restricted = request.state.actor is not None and bool(request.state.actor.segment)
        return open_groups(
            self.pages.values(),
            lambda item: self.may(request, item.action, item.area) and not (is_restricted and item.is_of_whole_shop),
        )

    def page(
        self,
        request: Request,
        name: str,
        *,
        here: str = "",
        twin: str = "",
        status: int = 200,
        fragments: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> Response:
        """Render a page, or that of its `fragments` (templates by id of element) which the script requests."""
        texts = self.words(request)
        shown = (fragments or {}).get(request.headers.get("x-part", ""), name)
        content = environment().get_template(shown).render({**self._frame(request, texts, here, twin, status), **facts})
        if isinstance(self.answers.shop, PastShop):
            content = page_as_of(content, self.answers.shop.run.run_id)
        answer = HTMLResponse(content, status, headers={"Vary": "X-Part, Cookie, Accept-Language"})
        for cookie, choice in ((COOKIE, texts.locale), (THEME_COOKIE, self.theme(request))):
            if request.query_params.get(cookie):
                answer.set_cookie(cookie, choice, max_age=YEAR_SECONDS, samesite="lax", httponly=True)
        return answer

    def _frame(self, request: Request, texts: Words, here: str, twin: str, status: int) -> dict[str, Any]:
        groups = self._navigation(request)
        return {
            "t": texts,
            "fmt": self.formats(texts),
            "here": here,
            "navigation": groups,
            "twin": twin,
            "needs_reveal_reason": self.answers.shop.settings.access.needs_reveal_reason,
            "status": status,
            "shop_name": self.answers.shop.settings.shop.name,
            "offer_names": self.answers.shop.policy.offer_names,
            "languages": {locale: _with_choice(request, COOKIE, locale) for locale in LOCALES},
            "theme": self.theme(request),
            "themes": {theme: _with_choice(request, THEME_COOKIE, theme) for theme in THEMES},
            "actor": request.state.actor,
            "csrf": request.state.csrf,
            "screen": request.cookies.get(SCREEN_COOKIE, ""),
            "data": self._data_shown(request, texts, here) if groups else None,
            "may": lambda action, area: self.may(request, action, area),
        }

    def _data_shown(self, request: Request, texts: Words, here: str) -> DataShown | None:
        """Of which run the page is, though a newer one may have completed, and which there are; None before any."""
        shop, formats = self.answers.shop, self.formats(texts)
        try:
            view = last_run(shop)
        except NoRunYet:
            return None
        choices = run_choices(shop, limit=RUNS_TO_CHOOSE)
        runs = {choice.run_id: _cutoff_text(formats, choice.as_of) for choice in choices}
        path = _path_of(request, "/")
        kept = tuple(pair for pair in request.query_params.multi_items() if pair[0] not in FRAME_PARAMETERS)
        back = f"{path}?{urlencode(kept)}" if kept else path
        return DataShown(
            view.run.run_id,
            _cutoff_text(formats, view.run.as_of),
            runs=runs,
            path=path,
            kept=kept,
            back=back,
            is_past=isinstance(shop, PastShop),
            is_rebuilt=view.past is Past.REBUILT,
            of_run=of_run(here),
        )

    def refusal_page(self, request: Request, error: PatronError, status: int) -> Response:
        """Page for a refusal; before any run it says what to do first."""
        if isinstance(error, NoRunYet):
            return self.page(request, "empty.html", quoted_folder=shlex.quote(str(self.answers.shop.folder)))
        if isinstance(error, ReadOnlyPast):
            return self.page(request, "refused_past.html", status=status)
        return self.error_page(request, status, error)

    def error_page(self, request: Request, status: int, error: PatronError | None = None) -> Response:
        """Page that says what went wrong and where to go."""
        message: dict[str, Any] = {"what": error.what, "where": error.where, "todo": error.todo} if error else {}
        return self.page(request, "error.html", status=status, **{"what": "", "where": "", "todo": "", **message})


def _with_choice(request: Request, parameter: str, choice: str) -> str:
    """Address of the same page with another choice; a page that was posted to has none, so the list stands in."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in FRAME_PARAMETERS]
    return f"{_path_of(request, '/customers')}?{urlencode([*kept, (parameter, choice)])}"


def _path_of(request: Request, otherwise: str) -> str:
    """Path of a page, which one that was posted to has not."""
    return request.url.path if request.method in {"GET", "HEAD"} else otherwise


def _cutoff_text(formats: Formats, as_of: datetime) -> str:
    """A cutoff: its day, and the time of another one than midnight."""
    is_midnight = as_of.astimezone(ZoneInfo(formats.time_zone)).time() == time.min
    return formats.date(as_of) if is_midnight else formats.time(as_of)
