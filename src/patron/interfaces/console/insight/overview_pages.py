"""The overview: key figures of a period, people and decisions of the last run."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from patron.answers.insight.brief import show_brief
from patron.answers.insight.overview import show_overview
from patron.answers.insight.period_figures import PeriodFigure, PeriodFigures, period_at_last_run
from patron.answers.insight.periods import COMPARISONS, Period, PeriodQuery, parse_period_query
from patron.answers.models.models import show_models
from patron.interfaces.charts.chart import Chart
from patron.interfaces.charts.chart_sets import OverviewCharts, overview_charts
from patron.interfaces.charts.period_chart import revenue_in_period
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, needs, of_whole_shop
from patron.interfaces.http.access.customer_scope import visible_of
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.interfaces.report.brief_sentences import brief_parts
from patron.interfaces.report.summary_sentences import summary_sentences
from patron.schema.access.access_rights import Action, Area

router = APIRouter(route_class=GuardedRoute)
PERIOD_PARAMETERS = ("period", "month", "from", "to", "compare")
VIEWS = ("figures", "people", "decisions")
GROUPS = ("shop", "customers", "new_customers")
LAST_DAYS: tuple[Period, ...] = ("30", "90", "365")
MONTHS_LISTED = 60


@router.get("/overview")
@needs(Action.READ, Area.OVERVIEW)
def overview(request: Request) -> Response:
    """The shop at a glance."""
    console: Console = request.app.state.console
    parameters = request.query_params
    require_known(parameters, (*PERIOD_PARAMETERS, "view", *FRAME_PARAMETERS))
    query, view = parse_period_query(parameters), parameters.get("view", "")
    view = view if view in VIEWS else VIEWS[0]
    answers, texts = console.answers, console.words(request)
    formats, facts = console.formats(texts), show_overview(answers, visible=visible_of(request))
    figures = period_at_last_run(answers, query)
    return console.page(
        request,
        "insight/overview.html",
        here="overview",
        twin=_address(query, "/api/overview/period"),
        view=view,
        overview=facts,
        figures=figures,
        groups=[
            (code, [(figure, _people(figure)) for figure in figures.figures if figure.group == code]) for code in GROUPS
        ],
        charts=_charts(console, texts),
        period_chart=_period_chart(console, query, texts),
        sentences=summary_sentences(facts, show_models(answers), texts, formats),
        links=_links(query, view),
        months=_months(figures, formats),
        last_moment=lambda end: end - timedelta(microseconds=1),
    )


@router.get("/brief")
@needs(Action.READ, Area.OVERVIEW)
@of_whole_shop
def brief(request: Request) -> Response:
    """What offers earned, what to change, what is not known, and which forecasts were wrong."""
    console: Console = request.app.state.console
    texts, facts = console.words(request), show_brief(console.answers)
    parts = brief_parts(facts, console.answers.shop.policy.offer_names, texts, console.formats(texts))
    return console.page(request, "insight/brief.html", here="brief", twin="/api/brief", brief=facts, parts=parts)


def _people(figure: PeriodFigure) -> str:
    """Address of the customers behind a figure; empty where the list has no such filter."""
    return f"/customers?{urlencode(figure.filters)}" if figure.filters else ""


def _months(figures: PeriodFigures, formats: Formats) -> list[tuple[str, str]]:
    """Months to choose from, and how the reader's language writes them."""
    first_days = ((month, datetime.fromisoformat(f"{month}-15").replace(tzinfo=UTC)) for month in figures.months)
    return [(month, formats.month(day)) for month, day in first_days][:MONTHS_LISTED]


def _links(query: PeriodQuery, view: str) -> dict[str, object]:
    """Addresses of the other states of the page."""
    more = {"view": "" if view == VIEWS[0] else view}
    by_days = {days: PeriodQuery(days, compare=query.compare) for days in LAST_DAYS}
    compared = {
        comparison: PeriodQuery(
            query.period, query.month, first_day=query.first_day, last_day=query.last_day, compare=comparison
        )
        for comparison in COMPARISONS
    }
    return {
        "periods": {days: _address(one, "/overview", **more) for days, one in by_days.items()},
        "comparisons": {code: _address(one, "/overview", **more) for code, one in compared.items()},
        "views": {one: _address(query, "/overview", view="" if one == VIEWS[0] else one) for one in VIEWS},
    }


def _address(query: PeriodQuery, path: str, **more: str) -> str:
    """Address of a page with this period; what is as usual is not named."""
    default = PeriodQuery()
    values = {
        "period": "" if query.period == default.period else query.period,
        "month": query.month if query.period == "month" else "",
        "from": str(query.first_day or "") if query.period == "custom" else "",
        "to": str(query.last_day or "") if query.period == "custom" else "",
        "compare": "" if query.compare == default.compare else query.compare,
        **more,
    }
    parameters = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{parameters}" if parameters else path


def _charts(console: Console, texts: Words) -> OverviewCharts:
    facts, formats = show_overview(console.answers), console.formats(texts)
    return console.answers.cached(("overview charts", texts.locale), lambda: overview_charts(facts, texts, formats))


def _period_chart(console: Console, query: PeriodQuery, texts: Words) -> Chart:
    figures, formats = period_at_last_run(console.answers, query), console.formats(texts)
    return console.answers.cached_per_customer(
        ("period chart", query, texts.locale), lambda: revenue_in_period(figures.course, texts, formats)
    )


def opening_charts(console: Console, texts: Words) -> tuple[Chart | None, ...]:
    """The charts of the page as it opens."""
    return (_period_chart(console, PeriodQuery(), texts), *vars(_charts(console, texts)).values())
