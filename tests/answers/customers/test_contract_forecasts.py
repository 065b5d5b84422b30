"""A customer's contracts are what the run's tables say; who has none has none."""

from datetime import timedelta

from patron.answers.customers.contract_forecasts import customer_contracts, has_contracts
from patron.answers.customers.customer_profile import customer_card
from patron.answers.models.models import models
from patron.storage.runs.last_run import last_run


def test_contracts_are_those_that_run_the_next_to_end_first(made_shop, rows_of_last):
    view, who = last_run(made_shop), rows_of_last("contract_forecasts")[4]["customer_id"]
    soon, later = customer_card(made_shop, who).contracts
    assert (soon.contract_id, soon.term, soon.ends_soon, soon.probability) == ("COFFEE", 3, True, 0.23)
    assert (later.contract_id, later.term, later.ends_soon, later.probability) == ("CLUB", 1, False, None)
    assert [one.ends_at - view.run.as_of for one in (soon, later)] == [timedelta(days=12), timedelta(days=300)]
    cancelled = {row["customer_id"] for row in view.read("contracts").to_pylist() if row["cancelled_at"]}
    for somebody in (who, min(cancelled)):
        is_cancelled = [contract.is_cancelled for contract in customer_contracts(view, somebody)]
        assert is_cancelled == [somebody in cancelled, False]
    assert customer_contracts(view, "nobody") == ()


def test_the_models_page_counts_who_has_a_contract_that_ends_soon(made_shop, rows_of_last):
    assert has_contracts(last_run(made_shop))
    question = {one.question: one for one in models(made_shop).questions}["contract_churn"]
    assert question.scored_count == len(rows_of_last("contract_forecasts"))
    assert question.model_version.startswith("contract_churn/")
