import numpy as np
import pytest

from patron.measure.decision_outcomes import DecisionOutcomes

STAGES, DEALS, VALUES = ("at_risk", "lapsed"), ("low", "middle", "high"), ("low", "middle", "high")


@pytest.fixture
def world():
    """Randomised decisions with known effects: offer 'ten' gains 300 cents where deals are liked and loses 100 else."""

    def draw(count, seed=0, *, lift=300.0, loss=-100.0, runs=3):
        rng = np.random.default_rng(seed)
        customer = np.tile(np.arange(count), runs)
        stage, deals, value = (rng.integers(0, n, count)[customer] for n in (2, 3, 3))
        p_offer = np.where(deals == 2, 0.6, 0.3)  # the propensity differs, and the margin with it: only weights help
        held = (customer % 10) == 0
        offered = (rng.random(len(customer)) < p_offer) & ~held
        worth = 500.0 * (value + 1) + 800.0 * deals
        effect = np.where(deals == 2, lift, loss)
        person = rng.gamma(0.5, 2.0, count)[customer]
        margin = worth * person * rng.gamma(1.0, 1.0, len(customer)) + offered * effect
        return DecisionOutcomes(
            run=np.repeat([f"t{n}" for n in range(runs)], count),
            customer=np.array([f"c{n}" for n in customer]),
            stratum=np.array(
                [f"{STAGES[a]}/deals_{DEALS[b]}/value_{VALUES[c]}" for a, b, c in zip(stage, deals, value, strict=True)]
            ),
            action=np.where(offered, "ten", "none"),
            is_holdout=held,
            is_first=np.arange(len(customer)) < count,
            margin_cents=margin,
            covariates=np.column_stack([worth * person, worth, person]),
            discount_cents=np.zeros(len(customer)),
            other_cost_cents=np.where(offered, 5.0, 0.0),
            propensities={"ten": np.where(held, 0.0, p_offer), "none": np.where(held, 0.0, 1 - p_offer)},
        )

    return draw
