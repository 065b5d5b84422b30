"""What every page of the console shares: language, formats, frame, and the part of a page that is asked for."""

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from patron.interfaces.console.templating import STATIC, environment
from patron.interfaces.http.answer_cache import Answers
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words, choose_locale, words
from patron.schema.errors import NoRunYet, PatronError

COOKIE = "lang"
PARTS = {"results": "_results.html"}
"""Parts of pages that the script swaps, by the id of their element."""
YEAR_SECONDS = 365 * 86_400


@cache
def asset_version() -> str:
    """Changes with the look and the script, so that browsers fetch them anew."""
    content = b"".join(path.read_bytes() for path in sorted(STATIC.iterdir()) if path.is_file())
    return hashlib.sha256(content).hexdigest()[:8]


class Console:
    """Renders pages over one shop; keeps nothing per reader."""

    def __init__(self, answers: Answers, pages: Mapping[str, str]) -> None:
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

    def page(
        self, request: Request, name: str, *, here: str = "", twin: str = "", status: int = 200, **facts: Any
    ) -> Response:
        """Render a page, or only the part of it that the script asked for."""
        texts = self.words(request)
        values = {
            "t": texts,
            "fmt": self.formats(texts),
            "here": here,
            "pages": self.pages,
            "twin": twin,
            "status": status,
            "shop_name": self.answers.shop.settings.shop.name,
            "offer_names": self.answers.shop.policy.offer_names,
            "asset_version": asset_version(),
            "csrf": request.state.csrf,
            "actor": request.state.actor,
            "languages": {locale: _in_language(request, locale) for locale in LOCALES},
            **facts,
        }
        shown = PARTS.get(request.headers.get("x-part", ""), name)
        content = environment().get_template(shown).render(values)
        answer = HTMLResponse(content, status, headers={"Vary": "X-Part, Cookie, Accept-Language"})
        if request.query_params.get("lang"):
            answer.set_cookie(COOKIE, texts.locale, max_age=YEAR_SECONDS, samesite="lax", httponly=True)
        return answer

    def refusal_page(self, request: Request, error: PatronError, status: int) -> Response:
        """Page for a refusal; before any run it says what to do first."""
        if isinstance(error, NoRunYet):
            return self.page(request, "empty.html", folder=str(self.answers.shop.folder))
        return self.error_page(request, status, error)

    def error_page(self, request: Request, status: int, error: PatronError | None = None) -> Response:
        """Page that says what went wrong and where to go."""
        message = {"what": error.what, "where": error.where, "todo": error.todo} if error else {}
        return self.page(request, "error.html", status=status, **{"what": "", "where": "", "todo": "", **message})


def _in_language(request: Request, locale: str) -> str:
    """Address of the same page in another language; a page that was posted to has none, so the list stands in."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    path = request.url.path if request.method in {"GET", "HEAD"} else "/customers"
    return f"{path}?{urlencode([*kept, ('lang', locale)])}"
