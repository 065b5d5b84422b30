"""Models for programs: how well they do, forecasts against the actual, and scores in bulk."""

from patron.answers.models.models import show_forecasts, show_models
from patron.commands.models.export_scores import list_scores, shop_total
from patron.interfaces.http.operation_routes import operation_routes

router = operation_routes(show_models, show_forecasts, list_scores, shop_total)
