"""Profiles are found by their keys, however many there are."""

from sqlalchemy import event

from patron.storage.shop import Shop
from patron.understand.profiles.profile_store import find_profiles


def test_profiles_of_one_customer_are_found_by_an_index(tmp_path) -> None:
    shop = Shop.create(tmp_path / "shop")
    asked: list[tuple[str, object]] = []
    event.listen(
        shop.store.engine, "before_cursor_execute", lambda _c, _cursor, sql, values, *_: asked.append((sql, values))
    )
    find_profiles(shop.store, customer_ids=["c1"], tokens=["usr_1"])
    lookups = [(sql, values) for sql, values in asked if "FROM profiles" in sql]
    with shop.store.begin() as connection:
        cursor = connection.connection.cursor()
        plans = [cursor.execute(f"explain query plan {sql}", values).fetchall()[0][-1] for sql, values in lookups]
    shop.close()
    assert len(plans) == 3
    for column, plan in zip(("token=?", "own_id=?", "owner=?"), plans, strict=True):
        assert "SEARCH" in plan
        assert column in plan
