"""The ledger shows every decision of a run once, and each with all that it rests on."""

import pytest

from patron.answers.offers.decision_ledger import PAGE_SIZE, decision_of, decisions
from patron.schema.errors import BadQuery, NotFound


def test_the_pages_of_a_run_hold_each_decision_once_offers_first(made_shop, last, rows_of_last):
    first = decisions(made_shop)
    pages = [decisions(made_shop, page=number + 1) for number in range(first.page_count)]
    rows = [row for page in pages for row in page.rows]
    assert {row.decision_id for row in rows} == {row["decision_id"] for row in rows_of_last("decisions")}
    assert len(rows) == first.total_count == sum(reason.customer_count for reason in first.reasons)
    assert {len(page.rows) for page in pages[:-1]} <= {PAGE_SIZE}
    is_offer = [row.action != "none" for row in rows]
    assert is_offer == sorted(is_offer, reverse=True)
    assert first.run_id == last.run.run_id == first.runs[0]
    assert decisions(made_shop, page=999).page == first.page_count


def test_a_reason_filters_and_what_there_is_not_is_refused(made_shop):
    held = decisions(made_shop, reason="holdout")
    assert held.total_count > 0
    assert {row.reason for row in held.rows} == {"holdout"}
    with pytest.raises(BadQuery, match="holdout"):
        decisions(made_shop, reason="holdot")
    for run_id in ("2011-01-01", "x' or '1' = '1"):
        with pytest.raises(NotFound, match="The newest runs with decisions are 2017-"):
            decisions(made_shop, run_id=run_id)
        with pytest.raises(NotFound, match="has decided anything"):
            decision_of(made_shop, ["x"], run_id=run_id)


def test_a_decision_is_that_of_its_id_or_the_newest_of_a_customer_with_its_alternatives(made_shop, rows_of_last):
    row = decisions(made_shop, reason="over_budget").rows[0]
    detail = decision_of(made_shop, [row.decision_id])
    assert detail == decision_of(made_shop, ["nobody", row.customer_id])
    assert detail.run_id == row.run_id
    assert detail.budget_price == 1.4
    assert [(alternative.action, alternative.forbidden_by) for alternative in detail.alternatives] == [
        ("ten_percent", None),
        ("twenty_percent", None),
    ]
    offered = [one for one in rows_of_last("alternatives") if one["decision_id"] == row.decision_id]
    assert [alternative.cost_cents for alternative in detail.alternatives] == [one["cost_cents"] for one in offered]
    with pytest.raises(NotFound, match="no decision has this id"):
        decision_of(made_shop, ["x' or '1' = '1"])
