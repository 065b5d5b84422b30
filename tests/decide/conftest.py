import numpy as np
import pyarrow as pa
import pytest

from patron.decide.candidates import REASON_COLUMNS
from patron.storage.offers.policy import Policy


@pytest.fixture
def candidates():
    """Draw customers at risk."""

    def draw(count, seed=0):
        rng = np.random.default_rng(seed)
        orders = rng.integers(1, 12, count)
        gross = orders * rng.integers(1_000, 9_000, count)
        discount = (gross * rng.uniform(0, 0.2, count)).astype(int)
        return pa.table(
            {
                "customer_id": pa.array([f"c{n:06}" for n in range(count)], pa.string()),
                "lifecycle_stage": pa.array(rng.choice(["at_risk", "lapsed"], count).tolist(), pa.string()),
                "value_cents_90_days": pa.array(rng.gamma(1.0, 3_000, count), mask=rng.random(count) < 0.1),
                "purchase": rng.uniform(0, 0.4, count),
                "churn_probability": rng.uniform(0, 1, count),
                "order_count": orders,
                "paid_cents": gross - discount,
                "gross_cents": gross,
                "discount_cents": discount,
                "coupon_order_count": rng.binomial(orders, 0.2),
                "is_consent_granted": pa.nulls(count, pa.bool_()),
                "consent_basis": pa.nulls(count, pa.string()),
                "is_personal_refused": np.zeros(count, dtype=bool),
                **{name: pa.nulls(count, pa.string()) for name in REASON_COLUMNS},
                "offer_count": (rng.random(count) < 0.1).astype(np.int64),
            }
        )

    return draw


@pytest.fixture
def policy():
    """Make a policy that may write to everybody, with changes by section."""

    def make(**sections):
        offers = [
            {"id": "ten", "discount_share": 0.1, "contact_cost_cents": 5, "assumed_purchase_uplift": 0.08},
            {"id": "twenty", "discount_share": 0.2, "contact_cost_cents": 5, "assumed_purchase_uplift": 0.14},
        ]
        return Policy.model_validate({"consent": {"unknown": "allow"}, "offers": offers} | sections)

    return make
