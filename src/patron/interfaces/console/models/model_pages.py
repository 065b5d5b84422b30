"""The pages of the models: what is predicted and how well, and a page for each question that one asks about that."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from patron.answers.insight.brief import latest_forecasts, show_brief
from patron.answers.models.forecast_ledger import HORIZONS, ForecastEntry, newest_forecasts
from patron.answers.models.models import Models, show_models
from patron.answers.models.repeat_purchase import repeat_purchase_model
from patron.interfaces.charts.chart import Chart
from patron.interfaces.charts.chart_sets import (
    deciles,
    dependence_charts,
    drift_chart,
    drivers_chart,
    repeat_purchase_charts,
    spread,
)
from patron.interfaces.console.models.fairness_texts import fairness_sentences
from patron.interfaces.console.models.fairness_texts import notes as fairness_notes
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.list_file import fields_of, list_file
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.interfaces.report.brief_sentences import forecast_sentence
from patron.schema.access.access_rights import Action, Area
from patron.schema.access.audit_actions import ExportedList
from patron.schema.errors import NotFound
from patron.schema.list_pages import MAX_PAGE
from patron.schema.sentences import Sentence

MODELS_ARE_OF = Sentence("models_are_of", "The models are of {names}.")
NO_MODEL_ANSWERS = Sentence("no_model_answers", "no model answers this question")

PATH = "/models"
PAGE_LENGTH = 20
MAX_NAME_LENGTH = 60
LEDGER_COLUMNS = (
    "question",
    "scored_at",
    "due_at",
    "customer_count",
    "forecast_mean",
    "actual_mean",
    "bias_share",
    "bias_low",
    "bias_high",
    "error",
    "baseline_error",
    "covered_share",
    "worst_decile",
    "worst_decile_bias",
)

router = APIRouter(route_class=GuardedRoute)


@router.get(PATH)
@needs(Action.READ, Area.MODELS)
def models(request: Request) -> Response:
    """Champions next to baselines, their latest forecasts next to what came, and what needs a look."""
    facts = _facts(request)
    latest = tuple(latest_forecasts(facts.ledger.entries).values()) if facts.ledger else ()
    return _page(request, "models/models.html", "overview", latest=latest, wrong=_wrong(request))


@router.get(f"{PATH}/ledger")
@needs(Action.READ, Area.MODELS)
def ledger(request: Request) -> Response:
    """Every forecast against what came, the latest first, and why the latest ones missed."""
    parameters = request.query_params
    require_known(parameters, ("question", "page", "format", *FRAME_PARAMETERS))
    facts, question = _facts(request).ledger, parameters.get("question", "")
    question = question if question in HORIZONS else ""
    entries = newest_forecasts(facts.entries if facts else (), question)
    if parameters.get("format") == "csv":
        rows = [fields_of(entry) for entry in entries]
        return list_file(request, ExportedList.FORECASTS, rows, area=Area.MODELS, columns=LEDGER_COLUMNS)
    return _page(
        request,
        "models/models_ledger.html",
        "ledger",
        **_ledger_page(request, entries, question),
        question=question,
        wrong=_wrong(request),
        waiting=facts.waiting if facts else (),
        csv=f"{PATH}/ledger?{urlencode({'question': question, 'format': 'csv'})}",
    )


def _ledger_page(request: Request, entries: Sequence[ForecastEntry], question: str) -> dict[str, Any]:
    """One page of entries, and the addresses of those before and after it."""
    page_count = max(1, -(-len(entries) // PAGE_LENGTH))
    page = min(bounded_integer(request.query_params.get("page", ""), 1, MAX_PAGE) or 1, page_count)

    def address(number: int) -> str:
        values = {"question": question, "page": "" if number == 1 else str(number)}
        return f"{PATH}/ledger?{urlencode({name: value for name, value in values.items() if value})}".rstrip("?")

    return {
        "entries": entries[(page - 1) * PAGE_LENGTH : page * PAGE_LENGTH],
        "total_count": len(entries),
        "previous": address(page - 1) if page > 1 else "",
        "next": address(page + 1) if page < page_count else "",
    }


@router.get(f"{PATH}/drift")
@needs(Action.READ, Area.MODELS)
def drift(request: Request) -> Response:
    """What changed in the data since the run before, and the alarms."""
    facts, answers = _facts(request), _console(request).answers
    texts, formats = _language(request)
    chart = answers.cached(("drift chart", texts.locale), lambda: drift_chart(facts, texts, formats))
    return _page(request, "models/models_drift.html", "drift", drift_chart=chart)


@router.get(f"{PATH}/drivers")
@needs(Action.READ, Area.MODELS)
def drivers(request: Request) -> Response:
    """Why customers leave: first reasons, and what the strongest features do to the churn probability."""
    facts, answers = _facts(request), _console(request).answers
    texts, formats = _language(request)
    first = answers.cached(("churn driver chart", texts.locale), lambda: drivers_chart(facts, texts, formats))
    dependence = answers.cached(
        ("partial dependence charts", texts.locale), lambda: dependence_charts(facts, texts, formats)
    )
    return _page(request, "models/models_drivers.html", "drivers", drivers=first, dependence=dependence)


@router.get(f"{PATH}/fairness")
@needs(Action.READ, Area.MODELS)
def fairness(request: Request) -> Response:
    """Whether forecasts and offers treat groups of customers alike."""
    facts, (texts, formats) = _facts(request).fairness, _language(request)
    return _page(
        request,
        "models/models_fairness.html",
        "fairness",
        fairness_sentences=list(fairness_sentences(facts, texts, formats)),
        fairness_notes=list(fairness_notes(facts, texts, formats)) if facts else [],
    )


@router.get(f"{PATH}/repeat-purchase")
@needs(Action.READ, Area.MODELS)
def repeat_purchase(request: Request) -> Response:
    """Who orders again, from the days of orders alone."""
    facts, answers = _facts(request), _console(request).answers
    texts, formats = _language(request)
    charts = answers.cached(
        ("repeat purchase charts", texts.locale),
        lambda: repeat_purchase_charts(facts.repeat_purchase, repeat_purchase_model(answers.shop), texts, formats),
    )
    return _page(request, "models/models_repeat_purchase.html", "repeat_purchase", repeat_charts=charts)


@router.get(f"{PATH}/questions/{{question}}")
@needs(Action.READ, Area.MODELS)
def question(request: Request, question: str) -> Response:
    """One question: champion, card, leaderboard, groups, and forecasts by decile. Raises NotFound."""
    facts, answers = _facts(request), _console(request).answers
    shown = next((one for one in facts.questions if one.question == question), None)
    if shown is None:
        todo = MODELS_ARE_OF(names=", ".join(one.question for one in facts.questions) or "nothing yet")
        raise NotFound(NO_MODEL_ANSWERS, where=question[:MAX_NAME_LENGTH], todo=todo)
    texts, formats = _language(request)
    charts: Mapping[str, Chart | None] = answers.cached(
        ("model charts", question, texts.locale),
        lambda: {"deciles": deciles(shown, texts, formats), "spread": spread(shown, texts, formats)},
    )
    entries = facts.ledger.entries if facts.ledger else ()
    return _page(
        request,
        "models/models_question.html",
        "",
        question=shown,
        charts=charts,
        entries=[entry for entry in entries if entry.question == question][:4],
        ledger_link=f"{PATH}/ledger?question={quote(question)}",
    )


def _wrong(request: Request) -> list[str]:
    """Sentences about the latest forecasts that missed by more than chance, with what went with it."""
    texts, formats = _language(request)
    return [forecast_sentence(one, texts, formats) for one in show_brief(_console(request).answers).wrong_forecasts]


def _console(request: Request) -> Console:
    return request.app.state.console


def _facts(request: Request) -> Models:
    return show_models(_console(request).answers)


def _language(request: Request) -> tuple[Words, Formats]:
    texts = _console(request).words(request)
    return texts, _console(request).formats(texts)


def _page(request: Request, template: str, tab: str, **values: Any) -> Response:
    return _console(request).page(
        request, template, here="models", twin="/api/models", models=_facts(request), tab=tab, **values
    )
