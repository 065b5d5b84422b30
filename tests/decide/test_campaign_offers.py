"""What campaigns gave counts for the runs: caps, stock and budget."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from patron import decide
from patron.decide.budget_period import remaining
from patron.storage.offers.offer_usage import offered
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, MESSAGES
from patron.storage.runs.runs import Run

AS_OF = datetime(2024, 3, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def write(shop, customer, state, sent_at, offer="ten", cost=250.0):
    message = {
        "message_id": f"m-{customer}",
        "campaign": "c",
        "customer_id": customer,
        "channel": "email",
        "offer": offer,
    }
    message |= {"topic": "offers", "state": state, "reason": "", "consent_basis": "consent", "attempt_count": 1}
    assigned = {"campaign": "c", "customer_id": customer, "is_holdout": False, "assigned_at": AS_OF, "version": 1}
    assigned |= {"is_planned": True, "offer": offer, "expected_cost_cents": cost}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(MESSAGES).values(**message, sent_at=sent_at, written_at=AS_OF))
        connection.execute(sa.insert(ASSIGNMENTS).values(assigned))


def test_offers_that_may_have_arrived_count_for_caps_and_budget(shop):
    write(shop, "sent", "sent", AS_OF - DAY)
    write(shop, "maybe", "unknown", AS_OF - DAY)
    write(shop, "long ago", "sent", AS_OF - 60 * DAY)
    write(shop, "refused", "failed", None)
    write(shop, "words", "sent", AS_OF - DAY, offer="", cost=5.0)
    view = shop.view(decide.READS, decide.WRITES, run=Run.at(AS_OF))
    counted = offered(view, view.declared_store, AS_OF - 28 * DAY, AS_OF).to_pylist()
    assert {row["customer_id"]: row["offer_count"] for row in counted} == {"sent": 1, "maybe": 1}
    assert remaining(view).spent_cents == 505.0
