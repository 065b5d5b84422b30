from datetime import date, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from patron.schema.data.raw_events import RAW_EVENTS
from patron.schema.errors import InvalidTable, NotFound
from patron.simulate.ground_truth import truth
from patron.simulate.simulator import ShopSimulator


def sql(query, events):
    with duckdb.connect() as con:
        con.execute("set time zone 'UTC'")
        con.register("events", events)
        return con.sql(query).fetchall()


def test_the_same_seed_gives_the_same_events_and_another_seed_others(small_shop):
    first, again, other = (ShopSimulator(small_shop, seed).history(40) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_advancing_in_steps_gives_the_same_events_as_advancing_at_once(small_shop):
    world = ShopSimulator(small_shop, seed=3)
    steps = pa.concat_tables([world.history(30), world.history(17), world.advance(date(2024, 4, 1))])
    assert steps.equals(ShopSimulator(small_shop, seed=3).history(91))


def test_events_have_the_raw_event_schema_in_order_of_time_and_unique_ids(year):
    assert year.schema.equals(RAW_EVENTS)
    year.validate(full=True)
    assert len(pc.unique(year["event_id"])) == len(year)
    assert sql(
        "select count(*) from (select occurred_at < lag(occurred_at) over () as back from events) where back", year
    ) == [(0,)]


def test_events_stay_within_the_requested_time(small_shop):
    world = ShopSimulator(small_shop, seed=4)
    world.history(30)
    begun = world.now
    events = world.history(30)
    assert pc.min(events["occurred_at"]).as_py() >= begun
    assert pc.max(events["occurred_at"]).as_py() < world.now


def test_every_ordered_product_is_in_the_catalogue_at_its_price(year):
    strangers = """
        select count(*) from events e cross join unnest(e.products) as t(p)
        left join (select product_id, price_cents from events where name = 'Product Updated') c
            on c.product_id = p.product_id and c.price_cents = p.price_cents
        where c.product_id is null
    """
    assert sql(strangers, year) == [(0,)]


def test_amounts_of_an_order_are_the_sums_of_its_lines(year):
    wrong = """
        select count(*) from (
            select any_value(revenue_cents) as revenue, any_value(total_cents) as total,
                any_value(coalesce(shipping_cents, 0)) as shipping, any_value(e.discount_cents) as discount,
                sum(p.price_cents * p.quantity - p.discount_cents) as paid, sum(p.discount_cents) as off
            from events e cross join unnest(e.products) as t(p)
            where name in ('Order Completed', 'Order Refunded') group by event_id)
        where revenue <> paid or total <> paid + shipping or discount <> off or paid < 0
    """
    assert sql(wrong, year) == [(0,)]


def test_refunds_follow_their_order_and_never_exceed_it(year):
    wrong = """
        select count(*) from events r left join events o on o.name = 'Order Completed' and o.order_id = r.order_id
        where r.name = 'Order Refunded' and (o.order_id is null or r.occurred_at <= o.occurred_at
            or r.user_id <> o.user_id or r.revenue_cents > o.revenue_cents)
    """
    assert sql(wrong, year) == [(0,)]
    assert sql(
        "select max(n) from (select count(*) as n from events where name = 'Order Refunded' group by order_id)", year
    ) == [(1,)]


def test_in_a_session_views_come_before_cart_before_checkout_before_order(year):
    after_all_steps = """
        select count(distinct (o.event_id, p.product_id)) from events o cross join unnest(o.products) as t(p)
        join events c on c.name = 'Checkout Started' and c.order_id = o.order_id and c.occurred_at < o.occurred_at
        join events a on a.name = 'Product Added' and a.anonymous_id = o.anonymous_id and a.product_id = p.product_id
            and a.occurred_at between c.occurred_at - interval 30 minutes and c.occurred_at
        join events v on v.name = 'Product Viewed' and v.anonymous_id = o.anonymous_id and v.product_id = p.product_id
            and v.occurred_at between a.occurred_at - interval 30 minutes and a.occurred_at
        where o.name = 'Order Completed'
    """
    lines = sql("select sum(len(products)) from events where name = 'Order Completed'", year)
    assert lines[0][0] > 1000
    assert sql(after_all_steps, year) == lines


def test_customers_are_identified_before_they_order_and_referred_ones_register(year):
    unknown = """
        select count(*) from events o where name = 'Order Completed' and not exists (
            select 1 from events i where i.name = 'Identify' and i.user_id = o.user_id and i.anonymous_id is not null
            and i.occurred_at < o.occurred_at)
    """
    strangers = """
        select count(*) filter (r.event_id is null), count(*) > 5 from events e
        left join events r on r.name = 'Customer Registered' and r.user_id = e.referred_user_id
        where e.name = 'Customer Referred'
    """
    assert sql(unknown, year) == [(0,)]
    assert sql(strangers, year) == [(0, True)]


def test_offers_to_nobody_change_nothing(small_shop, everyone_offered):
    world = ShopSimulator(small_shop, seed=5)
    until = world.now + timedelta(days=40)
    assert world.advance(until, everyone_offered(world, [], "SAVE10")).equals(
        ShopSimulator(small_shop, seed=5).history(40)
    )


def test_offers_change_only_the_events_of_offered_customers(small_shop, everyone_offered):
    plain, offering = ShopSimulator(small_shop, seed=6), ShopSimulator(small_shop, seed=6)
    plain.history(120)
    offering.history(120)
    offered = truth(offering, 30)["user_id"].to_pylist()[::2]
    without = plain.history(60)
    events = offering.advance(offering.now + timedelta(days=60), everyone_offered(offering, offered, "SAVE20"))
    with duckdb.connect() as con:
        con.register("without", without)
        con.register("offered", pa.table({"user_id": offered}))
        con.register("given", events)
        touched = "(select 'V' || (cast(substr(user_id, 2) as bigint) * 4 + d) from offered, range(3) as r(d))"
        theirs = f"where user_id not in (from offered) or (user_id is null and anonymous_id not in {touched})"
        untouched = f"select * from {{}} {theirs}"
        for one, other in (("without", "given"), ("given", "without")):
            query = f"{untouched.format(one)} except {untouched.format(other)}"
            assert con.sql(query).fetchall() == []
    assert not events.equals(without)


def test_orders_that_use_an_offer_carry_its_discount_and_coupon(small_shop, everyone_offered):
    world = ShopSimulator(small_shop, seed=8)
    world.history(90)
    users = truth(world, 30)["user_id"].to_pylist()
    events = world.advance(world.now + timedelta(days=45), everyone_offered(world, users, "SAVE20"))
    used = """
        select count(*) > 50, max(abs(p.discount_cents - .2 * p.price_cents * p.quantity)) <= .5,
            count(*) filter (p.coupon is distinct from o.coupon), max(o.occurred_at) < timestamptz '2024-05-01'
        from events o cross join unnest(o.products) as t(p) where o.name = 'Order Completed' and o.coupon = 'SAVE20'
    """
    assert sql(used, events) == [(True, True, 0, True)]
    assert sql(
        "select count(*) > 20 from events where name = 'Message Opened' and decision_id is not null", events
    ) == [(True,)]


def test_recommended_products_are_shown_and_some_bought(small_shop):
    plain, world = ShopSimulator(small_shop, seed=9), ShopSimulator(small_shop, seed=9)
    plain.history(90)
    world.history(90)
    users = [user for user in truth(world, 30)["user_id"].to_pylist() for _ in range(5)]
    rows = pa.table(
        {
            "user_id": users,
            "product_id": [f"P{17 * i % 600:05d}" for i in range(len(users))],
            "decision_id": [f"r{i}" for i in range(len(users))],
            "exposed_at": [world.now] * len(users),
        }
    )
    events = world.advance(world.now + timedelta(days=30), recommendations=rows)
    count = "select count(*) filter (name = '{}') from events"
    without = plain.history(30)
    shown, clicked = (sql(count.format(f"Recommendation {what}"), events)[0][0] for what in ("Shown", "Clicked"))
    assert shown > clicked > 0
    assert len(pc.unique(events["event_id"])) == len(events)
    assert sql(count.format("Order Completed"), events) >= sql(count.format("Order Completed"), without)


@pytest.mark.parametrize(("column", "value"), [("user_id", "nobody"), ("offer_id", "GIFT"), ("user_id", "C5")])
def test_unknown_customers_and_offers_are_refused(small_shop, everyone_offered, column, value):
    world = ShopSimulator(small_shop, seed=1)
    offers = everyone_offered(world, ["C0"], "SAVE10")
    rows = offers.set_column(offers.column_names.index(column), column, pa.array([value]))
    with pytest.raises(NotFound, match=value):
        world.advance(world.now + timedelta(days=1), rows)


def test_times_that_do_not_fit_are_refused(small_shop, everyone_offered):
    world = ShopSimulator(small_shop, seed=1)
    late = everyone_offered(world, ["C0"], "SAVE10")
    world.history(3)
    with pytest.raises(InvalidTable, match="outside"):
        world.advance(world.now + timedelta(days=1), late)
    with pytest.raises(InvalidTable, match="cannot advance"):
        world.advance(date(2024, 1, 1))
    with pytest.raises(InvalidTable, match="missing columns"):
        world.advance(world.now + timedelta(days=1), late.drop_columns(["decision_id"]))
