"""Why a product is in a live list."""

import numpy as np
import pyarrow as pa
import pytest

from list_index import AT_DAY, index_tables
from patron.recommenders.live.index_tables import IndexTables, build_index
from patron.recommenders.live.list_maker import ListMaker, ListRequest
from patron.recommenders.live.list_reasons import Reason
from patron.recommenders.live.scenarios import Scenario
from patron.storage.recommendations.recommendation_policy import RecommendationPolicy


@pytest.mark.parametrize(
    ("starts", "ends", "reason"),
    [
        (3.0, 9.0, Reason("on_offer", offer_starts_day=AT_DAY + 3, offer_ends_day=AT_DAY + 9)),
        (-3.0, 0.5, Reason("on_offer", offer_ends_day=AT_DAY + 0.5)),
        (8.0, 9.0, Reason("popular")),
        (-3.0, -1.0, Reason("popular")),
        (None, None, Reason("popular")),
    ],
)
def test_a_product_that_only_sells_is_there_for_its_promotion_while_there_is_one(starts, ends, reason):
    bought = {"product_id": "p", "days": 2.0, "is_return": False}
    plain = index_tables([{"product_id": "p", "known_day": AT_DAY - 90}], [bought])
    days = (None if one is None else AT_DAY + one for one in (starts, ends))
    products = plain.products
    for name, day in zip(("offer_starts_day", "offer_ends_day"), days, strict=True):
        products = products.append_column(name, pa.array([day], pa.float64()))
    tables = IndexTables(products, plain.purchases, plain.related, plain.wanted)
    scenario = Scenario.of("home", (), RecommendationPolicy().of_scenario("home").model_dump())
    for shown in (tables, plain):
        index = build_index(shown, at_day=AT_DAY, margin_share=0.3)
        (listed,) = ListMaker(index).make(ListRequest(scenario, AT_DAY), np.random.default_rng(0)).products
        assert listed.reason == (reason if shown is tables else Reason("popular"))
