"""Which tables a query reads is told from its words where they leave no doubt, and by parsing it elsewhere."""

import pytest

from patron.storage.duck_engine import DuckEngine
from patron.storage.runs.pinned_tables import PinnedTables


class CountingEngine(DuckEngine):
    parsed = 0

    def table_names(self, sql):
        self.parsed += 1
        return super().table_names(sql)


@pytest.mark.parametrize(
    ("sql", "names", "is_parsed"),
    [
        ("select * from orders", {"orders"}, False),
        ("select 1 from orders o join events e on true", {"orders", "events"}, False),
        ("select 1 from orders o, events e", {"orders", "events"}, True),
        ('select 1 from "orders"', {"orders"}, True),
        ("select 'events' as text from orders", {"orders"}, True),
        ("select o.events from orders o", {"orders"}, True),
        ("select 1 from (select 1 from last_scores) s", {"last_scores"}, False),
        ("select 1 from /* of them */ orders", {"orders"}, True),
        ("select 1 from rows", set(), False),
    ],
)
def test_names_of_a_query_are_those_of_its_parser(sql, names, is_parsed):
    engine = CountingEngine()
    tables = PinnedTables(None, engine, frozenset(), {})
    assert tables._names_in(sql) & {"orders", "events", "last_scores"} == names
    assert bool(engine.parsed) is is_parsed
    engine.close()
