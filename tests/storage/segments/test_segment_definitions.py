"""Versions of segments in the store."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from patron.schema.errors import BadSegment, NotFound
from patron.segments.segment_rules import AllOf, AnyOf, Not, SegmentRule
from patron.storage.access.access_tables import TEAMS
from patron.storage.outreach.campaign_tables import CAMPAIGNS
from patron.storage.segments.segment_definitions import (
    SegmentUse,
    definition,
    definitions,
    delete_definition,
    history,
    restore_definition,
    save_definition,
    uses_of_segment,
)

NOW = datetime(2024, 3, 1, tzinfo=UTC)


def save(shop, name, rule, **texts):
    with shop.store.begin() as connection:
        return save_definition(connection, name, rule, **({"saved_by": "A. Lee", "at": NOW} | texts))


def delete(shop, name):
    with shop.store.begin() as connection:
        delete_definition(connection, name)


def test_each_change_is_a_version_and_the_newest_counts(shop):
    assert [save(shop, "x", rule, note="n") for rule in (AllOf(()), AllOf(()), AnyOf(()))] == [1, 1, 2]
    assert save(shop, "x", AnyOf(()), folder="retention") == 3
    newest = definition(shop.store, "x")
    assert (newest.version, newest.rule, newest.folder, newest.saved_by) == (3, AnyOf(()), "retention", "A. Lee")
    with shop.store.begin() as connection:
        assert restore_definition(connection, "x", 1, saved_by="B", at=NOW) == 4
    last = history(shop.store, "x")[-1]
    assert (last.rule, last.folder, last.saved_by, last.note) == (AllOf(()), "", "B", "restored version 1")
    with shop.store.begin() as connection, pytest.raises(NotFound, match="no version 9"):
        restore_definition(connection, "x", 9, saved_by="B", at=NOW)


def test_a_cycle_is_refused_with_its_path(shop):
    save(shop, "c", AllOf(()))
    save(shop, "b", Not(SegmentRule("c")))
    save(shop, "a", AllOf((SegmentRule("b"), SegmentRule("c"))))
    with pytest.raises(BadSegment, match=r"c -> a -> (b -> )?c"):
        save(shop, "c", SegmentRule("a"))
    with pytest.raises(BadSegment, match="a -> a"):
        save(shop, "a", SegmentRule("a"))
    assert definition(shop.store, "c").version == 1


@pytest.mark.parametrize(
    "texts", [{"name": ""}, {"name": " x"}, {"name": "a\nb"}, {"name": "a/b"}, {"name": "x" * 101}, {"folder": "\0"}]
)
def test_names_are_single_lines(shop, texts):
    with pytest.raises(BadSegment):
        save(shop, texts.pop("name", "x"), AllOf(()), **texts)


def test_what_is_used_is_not_deleted(shop):
    save(shop, "x", AllOf(()))
    save(shop, "y", Not(SegmentRule("x")))
    with pytest.raises(BadSegment, match="is used by segment 'y'"):
        delete(shop, "x")
    content = '{"name": "spring", "segment": "z", "exclude": ["y"]}'
    row = {"name": "spring", "version": 1, "content": content, "saved_at": NOW, "saved_by": "A"}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(CAMPAIGNS).values(row))
    with pytest.raises(BadSegment, match="is used by campaign 'spring'"):
        delete(shop, "y")
    with shop.store.begin() as connection:
        connection.execute(sa.delete(CAMPAIGNS))
        team = {"team": "north", "segment": "y", "created_at": NOW, "created_by": "A"}
        connection.execute(sa.insert(TEAMS).values(team))
        assert uses_of_segment(connection, "y") == (SegmentUse("team", "north"),)
    with pytest.raises(BadSegment, match="is used by team 'north'"):
        delete(shop, "y")
    with shop.store.begin() as connection:
        connection.execute(sa.delete(TEAMS))
    delete(shop, "y")
    delete(shop, "x")
    assert definitions(shop.store) == {}
    with pytest.raises(NotFound, match="no segment 'x'"):
        delete(shop, "x")
