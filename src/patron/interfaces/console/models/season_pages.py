"""The page of the season that people expect: what came of it, and the form to enter another one."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.models.expected_season import show_expected_season
from patron.answers.models.models import show_models
from patron.commands.models.enter_season import MAX_LINES, current_lines, enter_season
from patron.interfaces.console.models.season_texts import season_sentences
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, form_of, needs
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.schema.access.access_rights import Action, Area
from patron.schema.errors import BadFile
from patron.storage.models.season_templates import SOURCE, TEMPLATES, template_spans

router = APIRouter(route_class=GuardedRoute)
PATH = "/models/season"


@router.get(PATH)
@needs(Action.READ, Area.MODELS)
def season(request: Request) -> Response:
    """The season that people expect, what came of it, and the form; a template fills the form and saves nothing."""
    parameters = request.query_params
    require_known(parameters, ("template", "entered", *FRAME_PARAMETERS))
    template = parameters.get("template", "")
    text = None
    if template in TEMPLATES:
        text = "\n".join(span.line for span in template_spans(template, _today(request)))
    done = bounded_integer(parameters.get("entered", ""), 0, MAX_LINES) if "entered" in parameters else None
    return _page(request, text=text, done=done)


@router.post(PATH)
@needs(Action.ACT, Area.MODELS)
def enter(request: Request) -> Response:
    """Enter the season that the shop expects, or remove it."""
    text = form_of(request).get("season", "")
    try:
        done = enter_season(context_of(request), text)
    except BadFile as error:
        return _page(request, text=text, problem=error, status=status_of(error))
    return RedirectResponse(f"{PATH}?entered={done.span_count}", 303)


def _today(request: Request) -> date:
    zone = request.app.state.console.answers.shop.settings.shop.time_zone
    return datetime.now(ZoneInfo(zone)).date()


def _page(
    request: Request,
    *,
    text: str | None = None,
    problem: BadFile | None = None,
    done: int | None = None,
    status: int = 200,
) -> Response:
    console: Console = request.app.state.console
    texts, expected = console.words(request), show_expected_season(console.answers)
    return console.page(
        request,
        "models/models_season.html",
        here="models",
        twin="/api/season",
        status=status,
        tab="season",
        models=show_models(console.answers),
        season=expected,
        sentences=list(season_sentences(expected, texts, console.formats(texts))),
        text=current_lines(console.answers.shop.store, _today(request)) if text is None else text,
        problem=problem,
        done=done,
        templates=[(name, f"{PATH}?template={name}#enter") for name in TEMPLATES],
        source=SOURCE,
    )
