"""How likely a customer responds is what the run's table says; a shop without such a forecast has none."""

from patron.answers.customers.customer_profile import customer_card
from patron.answers.models.models import models


def test_responses_are_those_of_the_customer_the_likeliest_first(made_shop, rows_of_last):
    who = rows_of_last("response_forecasts")[4]["customer_id"]
    rows = [row for row in rows_of_last("response_forecasts") if row["customer_id"] == who]
    shown = customer_card(made_shop, who).responses
    assert [one.probability for one in shown] == sorted((row["probability"] for row in rows), reverse=True)
    for one, row in zip(shown, sorted(rows, key=lambda row: -row["probability"]), strict=True):
        for name in ("channel", "message_type", "response", "message_count", "response_count", "shop_response_share"):
            assert getattr(one, name) == row[name]


def test_the_models_page_counts_who_has_a_forecast_of_a_response(made_shop, rows_of_last):
    question = {one.question: one for one in models(made_shop).questions}["message_response"]
    assert question.scored_count == len({row["customer_id"] for row in rows_of_last("response_forecasts")})
    assert question.model_version.startswith("message_response/")
