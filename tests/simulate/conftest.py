from dataclasses import replace

import pyarrow as pa
import pytest

from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP

SMALL = replace(DEFAULT_SHOP, customers=300)


@pytest.fixture(scope="session")
def small_shop():
    return SMALL


@pytest.fixture(scope="session")
def year(small_shop):
    return ShopSimulator(small_shop, seed=7).history(365)


@pytest.fixture(scope="session")
def everyone_offered():
    def offers(world, user_ids, offer_id):
        return pa.table(
            {
                "user_id": user_ids,
                "offer_id": [offer_id] * len(user_ids),
                "decision_id": [f"decision {user_id}" for user_id in user_ids],
                "exposed_at": [world.now] * len(user_ids),
            }
        )

    return offers
