"""Models for programs: how well they do, forecasts against the actual, scores in bulk, and the expected season."""

from patron.answers.models.expected_season import show_expected_season
from patron.answers.models.models import show_forecasts, show_models
from patron.commands.models.enter_season import enter_season
from patron.commands.models.export_scores import list_scores, shop_total
from patron.interfaces.http.operation_routes import operation_routes

router = operation_routes(show_models, show_forecasts, list_scores, shop_total, show_expected_season, enter_season)
