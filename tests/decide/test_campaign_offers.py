"""What campaigns gave counts for the runs: caps, stock and budget."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import sqlalchemy as sa

from patron import decide
from patron.decide.budget_period import remaining
from patron.decide.campaign_offers import with_campaign_offers
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
    names = ["sent", "maybe", "long ago", "refused", "words"]
    rows = pa.table({"customer_id": names, "offer_count": pa.array([1, 0, 0, 0, 0], pa.int64()), "other": [0] * 5})
    view = shop.view(decide.READS, decide.WRITES, run=Run.at(AS_OF))
    counted = with_campaign_offers(view.declared_store, rows, since=AS_OF - 28 * DAY, until=AS_OF)
    assert counted["offer_count"].to_pylist() == [2, 1, 0, 0, 0]
    assert counted.column_names == rows.column_names
    assert remaining(view).spent_cents == 505.0
