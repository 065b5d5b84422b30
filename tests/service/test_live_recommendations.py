"""Live lists of a workspace: who is there, what they just did, what rules allow, and what feedback teaches."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from recommending_shop import AS_OF, PRODUCT_COUNT, finish_run, recommending_shop, run_recommendations

from patron.collect.request import SourceRules, validate_batch
from patron.commands.privacy.forget import forget
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import initial_customer_id
from patron.schema.errors import BadRequest, NotFound
from patron.service import live_recommendations
from patron.service.live_recommendations import LiveRecommendations
from patron.service.recommendation_answers import RecommendationQuery
from patron.storage.shop import Shop

NOW = AS_OF + timedelta(hours=9)
OPEN = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    stock = [float(n % 7) for n in range(PRODUCT_COUNT)]
    shop = recommending_shop(tmp_path_factory.mktemp("recommending") / "shop", stock=stock)
    yield shop
    shop.close()


@pytest.fixture
def live(template):
    return LiveRecommendations(template)


def ask(live, *, now=NOW, seed=0, **query):
    return live.recommend(RecommendationQuery(**query), now=now, rng=np.random.default_rng(seed))


def request(*messages, at=NOW):
    base = {"type": "track", "timestamp": at.isoformat()}
    batch = [base | {"messageId": f"m{n}"} | message for n, message in enumerate(messages)]
    return validate_batch(json.dumps({"batch": batch}).encode(), "web", at, OPEN)


def viewed(product_id, **person):
    return {"event": "Product Viewed", "properties": {"product_id": product_id}, **person}


def ids(made):
    return [product.product_id for product in made.products]


def test_a_known_customer_gets_what_they_buy_again_with_its_rhythm(live):
    made = ask(live, user_id="u8")
    assert made.is_personal
    assert made.model_version == "2026-03-01"
    first = made.products[0]
    assert first.product_id in {"p8", "p9", "p10", "p11"}
    assert first.reason.code == "buy_again"
    assert first.reason.days_since >= 0.3
    assert first.product_name == f"Product {first.product_id[1:]}"
    assert [product.position for product in made.products] == list(range(1, 11))


def test_a_stranger_gets_a_full_list_that_is_in_stock(live):
    made = ask(live, anonymous_id="nobody knows")
    assert not made.is_personal
    assert len(set(ids(made))) == 10
    assert not {f"p{n}" for n in range(0, PRODUCT_COUNT, 7)} & set(ids(made))
    assert {product.reason.code for product in made.products} <= {"popular", "new"}


def test_an_accepted_event_changes_the_next_list(live):
    before = ask(live, anonymous_id="v1")
    live.observe([request(viewed("p20", anonymousId="v1"))])
    after = ask(live, anonymous_id="v1")
    assert ids(before) != ids(after)
    assert after.products[0].product_id in {"p17", "p18", "p19", "p20", "p22", "p23"}
    reasons = {product.reason.code for product in after.products}
    assert "goes_with_visit" in reasons or "viewed" in reasons
    assert ids(ask(live, anonymous_id="v2")) == ids(before)


def test_products_of_the_page_lead_to_what_goes_with_them_and_are_not_listed(live):
    made = ask(live, scenario="product", product_ids=["p30", "no such product"])
    assert made.products[0].product_id in {"p29", "p31", "p27", "p32", "p33"}
    assert made.products[0].reason.code == "goes_with_page"
    assert made.products[0].reason.product_id == "p30"
    assert "p30" not in ids(made)


def test_what_was_just_bought_returned_or_hidden_is_not_listed(live):
    wanted = ids(ask(live, user_id="u8"))
    order = {"event": "Order Completed", "userId": "u8"}
    order["properties"] = {"order_id": "x", "total": 1, "products": [{"product_id": wanted[4]}]}
    hidden = {"event": "Recommendation Hidden", "userId": "u8", "properties": {"product_id": wanted[0]}}
    live.observe([request(hidden, order)])
    after = ids(ask(live, user_id="u8"))
    assert wanted[0] not in after
    is_used_up = live._source.index.facts.is_consumable[live._source.index.code(wanted[4])]
    assert (wanted[4] in after) == is_used_up


def test_the_next_page_goes_on_where_the_list_ended(live):
    first = ask(live, user_id="u8", k=6)
    second = ask(live, next=first.next, k=6)
    assert len(set(ids(first)) | set(ids(second))) == 12
    assert [product.position for product in second.products] == list(range(7, 13))
    with pytest.raises(NotFound, match="no longer kept"):
        ask(live, next="unknown")


def test_filters_hold_and_say_what_is_missing(live):
    made = ask(live, user_id="u8", only=["p8", "p7", "p9", "unknown"], k=5)
    assert set(ids(made)) == {"p8", "p9"}
    assert made.why_short == {"out_of_stock": 1, "no_candidate": 2}
    assert made.next is None
    assert ask(live, only=[], k=3).products == ()


def test_relevance_has_a_floor(live):
    made = ask(live, user_id="u8", min_relevance=0.05)
    assert 0 < len(made.products) < 10
    assert min(product.click_probability for product in made.products) >= 0.05
    assert made.why_short["low_relevance"] > 0


def test_feedback_about_our_lists_teaches_and_any_other_does_not(live):
    made = ask(live, user_id="u8")
    one = made.products[0]
    shown = {"event": "Recommendation Shown", "userId": "u8", "properties": dict(one.event)}
    code = live._source.index.code(one.product_id)
    live.observe([request(shown)])
    assert live._maker.response.expected_clicks[code] == one.event["expected_clicks_per_1000"] / 1_000
    clicked = {**shown, "event": "Recommendation Clicked"}
    live.observe([request(clicked)])
    assert live._maker.response.clicks[code] == 1
    forged = {**clicked, "properties": {**one.event, "propensity": 0.5}}
    other = {**clicked, "properties": {**made.products[1].event, "product_id": one.product_id}}
    bare = {**clicked, "properties": {"product_id": one.product_id, "decision_id": "never was"}}
    live.observe([request(forged, other, bare)])
    assert live._maker.response.clicks[code] == 1
    assert live.learning.rejected_count == 3


def test_a_shown_product_that_is_not_clicked_makes_room(live):
    made = ask(live, anonymous_id="v7")
    shown = [
        {"event": "Recommendation Shown", "anonymousId": "v7", "properties": dict(product.event)}
        for product in made.products
    ]
    live.observe([request(*shown)])
    rotated = ask(live, anonymous_id="v7")
    assert ids(rotated)[:5] != ids(made)[:5]
    later = ask(live, anonymous_id="v7", now=NOW + timedelta(days=30))
    assert ids(later)[:2] == ids(made)[:2]


def test_places_that_are_tried_have_the_probability_of_their_product(live):
    chosen: dict[str, list[float]] = {}
    for seed in range(600):
        one = ask(live, anonymous_id="nobody", seed=seed).products[2]
        chosen.setdefault(one.product_id, []).append(one.propensity)
    assert len(chosen) > 1
    usual = ask(live, anonymous_id="nobody", is_preview=True).products[2].product_id
    assert min(chosen[usual]) < 1
    assert sum(1 / one for one in chosen[usual]) / 600 == pytest.approx(1, abs=0.3)


def test_a_preview_tries_nothing_and_is_not_kept(live):
    usual = [ids(ask(live, user_id="u8", is_preview=True, seed=seed)) for seed in range(40)]
    assert all(made == usual[0] for made in usual)
    made = ask(live, user_id="u8", is_preview=True)
    assert {product.propensity for product in made.products} == {1.0}
    assert made.next is None
    assert not live._lists
    assert live._maker.budget.expected == 0


def test_a_preview_says_why_a_product_is_not_in_the_list(live):
    def why_not(product_id, **query):
        return live.why_not(RecommendationQuery(**query), product_id, now=NOW)

    made = ask(live, user_id="u8", is_preview=True)
    assert {why_not(identifier, user_id="u8") for identifier in ids(made)} == {None}
    assert why_not("p7", user_id="u8") == "out_of_stock"
    assert why_not("p8", user_id="u8", only=["p9"]) == "no_candidate"
    assert why_not("p7", user_id="u8", only=["p9"]) == "out_of_stock", "a rule is the better answer than no candidate"
    assert why_not(made.products[-1].product_id, user_id="u8", k=3) == "lower_rank"
    assert why_not("p8", user_id="u8", min_relevance=1.0) == "low_relevance"
    with pytest.raises(NotFound, match="no list knows"):
        why_not("nobody sells this")


@pytest.fixture
def family(live):
    """Customer u8 with a second user id and a device of theirs, as a run would have linked them."""
    people = live._ready(NOW)[1].people
    owner = initial_customer_id(live.vault.token("user_id", "u8"))
    tokens = [live.vault.token("user_id", "u8b"), live.vault.token("anonymous_id", "dev8")]
    more = pa.table({"token": tokens, "customer_id": [owner] * 2})
    joined = pa.concat_tables([people, more]).sort_by("token").combine_chunks()
    live._source = replace(live._source, people=joined)
    return live


def test_with_a_public_key_a_device_does_not_give_its_owner_away(family):
    assert ask(family, anonymous_id="dev8").is_personal
    made = ask(family, anonymous_id="dev8", is_public=True)
    assert not made.is_personal
    assert not {"buy_again", "goes_with_history"} & {product.reason.code for product in made.products}


def test_what_one_user_of_a_device_does_is_not_in_the_list_of_another(live):
    live.observe([request(viewed("p20", userId="u1", anonymousId="family"))])
    other = ask(live, user_id="u30", anonymous_id="family")
    assert not {"viewed", "goes_with_visit"} & {product.reason.code for product in other.products}
    assert ask(live, user_id="u1").products[0].product_id in {
        "p17",
        "p18",
        "p19",
        "p20",
        "p22",
        "p23",
        "p1",
        "p2",
        "p3",
    }


@pytest.mark.parametrize("asked", [{"user_id": "u8"}, {"user_id": "u8b"}, {"anonymous_id": "dev8"}])
def test_an_objection_to_profiling_under_any_id_leaves_the_page_alone(family, monkeypatch, asked):
    objecting = family.vault.token("user_id", "u8b")
    monkeypatch.setattr(
        live_recommendations, "history", lambda _store, tokens, _names: ["no"] if objecting in tokens else []
    )
    monkeypatch.setattr(live_recommendations, "latest_answer", lambda entries: False if entries else None)
    made = ask(family, **asked)
    assert not made.is_personal
    assert "buy_again" not in {product.reason.code for product in made.products}


def test_feedback_that_is_sent_again_counts_once_and_so_does_an_order(live):
    one = ask(live, anonymous_id="v3").products[0]
    code = live._source.index.code(one.product_id)
    person = {"anonymousId": "v3"}
    clicked = {"event": "Recommendation Clicked", "properties": dict(one.event), **person}
    line = {"event": "Order Line Completed", "properties": {"order_id": "o", "product_id": one.product_id}, **person}
    before = live._maker.response.clicks[code], live._maker.response.orders[code]
    live.observe([request(*[clicked] * 5, line, line, line)])
    after = live._maker.response.clicks[code], live._maker.response.orders[code]
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)
    expected = live._maker.response.expected_clicks[code]
    live.observe([request({**clicked, "event": "Recommendation Hidden"})])
    assert live._maker.response.expected_clicks[code] == expected


def test_later_places_expect_fewer_clicks(live):
    first = ask(live, user_id="u8", k=5)
    second = ask(live, next=first.next, k=5)
    looks = [
        one.event["expected_clicks_per_1000"] / one.click_probability for one in (*first.products, *second.products)
    ]
    assert looks == sorted(looks, reverse=True)
    assert looks[9] < 0.6 * looks[0]


def test_what_was_bought_since_the_run_is_due_no_more(live):
    wanted = ask(live, user_id="u8").products[0]
    order = {"event": "Order Completed", "userId": "u8"}
    order["properties"] = {"order_id": "y", "total": 1, "products": [{"product_id": wanted.product_id}]}
    live.observe([request(order)])
    after = {product.product_id: product.reason.code for product in ask(live, user_id="u8").products}
    assert after.get(wanted.product_id) != "buy_again"


def test_a_forgotten_person_is_not_remembered_again(tmp_path):
    shop = recommending_shop(tmp_path / "shop")
    live = LiveRecommendations(shop)
    ask(live, user_id="u8")
    live.observe([request(viewed("p1", userId="u9"))])
    forget(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="u8")
    live.refresh(now=NOW)
    live.observe([request(viewed("p1", userId="u8"))])
    assert not live.memory.knows(live.vault.token("user_id", "u8"))
    assert live.memory.knows(live.vault.token("user_id", "u9"))
    shop.close()


def test_an_unknown_scenario_is_refused_with_those_that_there_are(live):
    with pytest.raises(BadRequest, match="checkout"):
        ask(live, scenario="checkout")


def test_before_any_run_what_is_looked_at_is_listed(tmp_path):
    shop = Shop.create(tmp_path / "new")
    live = LiveRecommendations(shop)
    assert ask(live, anonymous_id="v").products == ()
    shop.close()


def test_another_run_gives_another_index_and_an_erased_customer_is_gone(tmp_path):
    shop = recommending_shop(tmp_path / "shop")
    live = LiveRecommendations(shop)
    assert ask(live, user_id="u8").is_personal
    forget(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="u8")
    live.refresh(now=NOW)
    assert not ask(live, user_id="u8").is_personal
    finish_run(shop, run_recommendations(shop, AS_OF + timedelta(days=1)))
    live.refresh(now=NOW)
    assert ask(live, user_id="u9").model_version == "2026-03-02"
    shop.close()
