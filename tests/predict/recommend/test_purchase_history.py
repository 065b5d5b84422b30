"""The shop's plan as of a cutoff, and lists that know it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from patron.predict.recommend.library_lists import LearnedLists
from patron.predict.recommend.purchase_history import PurchaseHistory, promotions_at
from patron.schema.tables import PROMOTIONS

CUTOFF = datetime(2024, 6, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return CUTOFF + timedelta(days=number)


def planned(*rows: tuple[str, float, float, float, float | None]) -> pa.Table:
    """Promotions from product, start, end, and since and until when this version was known; days after the cutoff."""
    columns = ("product_id", "starts_at", "ends_at", "known_at", "superseded_at")
    values = [(product, *(None if one is None else day(one) for one in days)) for product, *days in rows]
    more = {"promotion_id": "x", "name": None, "kind": "leaflet", "discount_share": 0.2}
    return pa.Table.from_pylist(
        [dict(zip(columns, value, strict=True)) | more for value in values], PROMOTIONS.schema()
    )


def test_a_cutoff_knows_the_version_of_a_plan_that_was_known_then():
    versions = planned(("p", 3, 10, -9, -2), ("p", 4, 10, -2, 0), ("p", 4, 4, 0, None), ("q", -5, 2, -5, None))
    plan = promotions_at(versions, CUTOFF).to_pylist()
    since = [(row["item_id"], row["starts"] - datetime(1970, 1, 1)) for row in plan]  # noqa: DTZ001 - since the cutoff
    assert since == [("p", timedelta(days=4)), ("q", timedelta(days=-5))]
    assert promotions_at(versions, day(-9)).num_rows == 0
    assert promotions_at(versions, day(-8)).num_rows == 1


def test_learned_lists_know_what_is_planned_and_keep_no_plan():
    """In half of their purchases customers take what is on promotion, one product each week."""
    rng = np.random.default_rng(0)
    customer, before = rng.integers(0, 120, 4_000), rng.uniform(0, 196, 4_000)
    promoted = (before // 7).astype(int) % 14
    product = np.where(rng.random(4_000) < 0.5, promoted, rng.integers(0, 60, 4_000))
    purchases = pa.table(
        {
            "customer_id": [f"c{one}" for one in customer],
            "product_id": [f"p{one}" for one in product],
            "days_before": before,
        }
    )
    weeks = [(f"p{week % 14}", -7.0 * (week + 1), -7.0 * week, -7.0 * week - 60, None) for week in range(-4, 28)]
    plan = promotions_at(planned(*weeks), CUTOFF)
    fitted = LearnedLists(fewest_lines=1_000).fit(PurchaseHistory(purchases, plan))
    coming = {f"p{week % 14}" for week in range(-4, 0)}
    shares = [
        np.mean([row["product_id"] in coming for row in fitted.predict(one).to_pylist() if row["rank"] <= 4])
        for one in (PurchaseHistory(purchases, plan), purchases)
    ]
    assert shares[0] > 2 * shares[1]
    assert len(fitted.recommender.facts.promotions.promotions) == 0
