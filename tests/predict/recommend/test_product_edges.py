"""What people wrote about pairs of products reaches the lists of the next run, with its reason."""

from collections import defaultdict
from contextlib import closing
from datetime import timedelta

import pytest
from recommending_shop import AS_OF, finish_run, recommending_shop, run_recommendations

from patron.recommenders.content import read_edges
from patron.run import run_loop
from patron.schema.errors import BadFile
from patron.schema.tables import RELATED_PRODUCTS
from patron.service.live_recommendations import LiveRecommendations
from patron.service.recommendation_answers import RecommendationQuery
from patron.storage.shop import Shop

LINES = """product_id,related_id,kind,weight
p30,p41,complement,1
p41,p45,complement,1
p30,p10,substitute,1
p20,p21,expert,-1
p30,not a product,complement,1
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = recommending_shop(tmp_path_factory.mktemp("edges") / "shop")
    assert {"p21"} <= related_to(shop)["p20", "together"].keys()
    (shop.folder / "product_edges.csv").write_text(LINES)
    finish_run(shop, run_recommendations(shop, AS_OF + timedelta(days=1)))
    yield shop
    shop.close()


def related_to(shop: Shop) -> dict[tuple[str, str], dict[str, float]]:
    """Strength of what is related to each product and kind, by the newest run."""
    rows = shop.lake.read(RELATED_PRODUCTS).to_pylist()
    newest, related = max(row["run_id"] for row in rows), defaultdict(dict)
    for row in sorted(rows, key=lambda row: row["rank"]):
        if row["run_id"] == newest:
            related[row["product_id"], row["kind"]][row["related_id"]] = row["strength"]
    return related


def listed(shop: Shop, scenario: str, *product_ids: str) -> dict[str, str]:
    """Reason of each product of a list."""
    query = RecommendationQuery(scenario, product_ids=product_ids, k=20)
    made = LiveRecommendations(shop).recommend(query, now=AS_OF + timedelta(days=1, hours=9))
    return {product.product_id: f"{product.reason.code} {product.reason.product_id}" for product in made.products}


def test_complements_count_one_way_substitutes_both_ways_and_never_is_no_link(shop):
    related = related_to(shop)
    assert related["p30", "together"]["p41"] == 0.5
    assert "p30" not in related["p41", "together"]
    assert [list(related[one, "substitute"]) for one in ("p30", "p10")] == [["p10"], ["p30"]]
    assert [list(related[one, "never"]) for one in ("p20", "p21")] == [["p21"], ["p20"]]
    assert "p21" not in related["p20", "together"]
    assert "p20" not in related["p21", "together"]
    assert all(list(of.values()) == sorted(of.values(), reverse=True) for of in related.values())


def test_a_walk_finds_what_goes_with_a_complement(shop):
    together = related_to(shop)["p30", "together"]
    assert 0 < together["p45"] < together["p41"]


def test_lists_show_complements_and_substitutes_with_their_reason(shop):
    of_page = listed(shop, "product", "p30")
    assert of_page["p41"] == "goes_with_page p30"
    assert of_page["p10"] == "replaces p30"


def test_a_cart_has_no_substitute_of_what_is_in_it_and_no_page_what_never_goes_with_it(shop):
    in_cart = listed(shop, "cart", "p30")
    assert in_cart["p41"] == "goes_with_page p30"
    assert "p10" not in in_cart
    assert "p21" not in listed(shop, "product", "p20")
    query = RecommendationQuery("cart", product_ids=["p30"])
    live = LiveRecommendations(shop)
    assert live.why_not(query, "p10", now=AS_OF + timedelta(days=1, hours=9)) == "not_with_page"


def test_a_run_refuses_a_bad_line_before_it_begins(tmp_path):
    with closing(Shop.create(tmp_path / "shop")) as shop:
        path = shop.folder / "product_edges.csv"
        path.write_text("product_id,related_id,kind,weight\na,b,complement,2\n")
        with pytest.raises(BadFile, match="line 2: the weight of complement is 2, not above 0 and 1"):
            run_loop(shop, AS_OF)
        path.write_text("product_id,related_id,kind\na,b,complement\n")
        assert read_edges(path).num_rows == 1
