"""The shop as a whole for programs: Today, overview, periods, brief, retention, experiments, questions."""

from patron.answers.insight.brief import show_brief
from patron.answers.insight.experiments import list_experiments
from patron.answers.insight.overview import show_overview
from patron.answers.insight.payback import show_payback
from patron.answers.insight.period_figures import show_period
from patron.answers.insight.questions import list_questions
from patron.answers.insight.retention import show_retention
from patron.answers.insight.today import show_today
from patron.commands.insight.enter_acquisition_costs import enter_acquisition_costs
from patron.interfaces.http.insight.experiment_view import show_experiment
from patron.interfaces.http.operation_routes import operation_routes

router = operation_routes(
    show_today,
    show_overview,
    show_period,
    show_brief,
    show_retention,
    show_payback,
    enter_acquisition_costs,
    list_experiments,
    show_experiment,
    list_questions,
)
