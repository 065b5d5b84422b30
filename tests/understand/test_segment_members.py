"""Stays in segments: what runs keep incrementally is what evaluating every run anew gives."""

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.shops.segment_shop import FIRST_CUTOFF, SEGMENTS, finish_run, holds, trees, world_at, write_world

from patron.segments.segment_rules import AllOf, Comparison, FieldRule, SegmentRule
from patron.storage.runs.last_run import last_run
from patron.storage.segments.segment_definitions import delete_definition, save_definition
from patron.storage.shop import Shop

NAMES = (*SEGMENTS, "c")
CHANGES = st.lists(
    st.fixed_dictionaries(
        {
            "rules": st.dictionaries(st.sampled_from(NAMES), trees(), max_size=2),
            "gone": st.sampled_from([None, None, "b"]),
            "is_repeated": st.booleans(),
            "seed": st.integers(0, 50),
        }
    ),
    min_size=2,
    max_size=3,
)
"""What happens before each run: rules saved, one deleted, and whether the run is cut off and repeated."""


def save(shop, rules, at):
    with shop.store.begin() as connection:
        for name, rule in rules.items():
            save_definition(connection, name, rule, saved_by="t", at=at)


def stays_of(shop) -> set[tuple]:
    rows = last_run(shop).read("segment_members").to_pylist()
    stays = [tuple(row[name] for name in ("segment", "customer_id", "entered_at", "left_at")) for row in rows]
    assert len(stays) == len(set(stays))
    return set(stays)


def recomputed(history) -> set[tuple]:
    """Stays from all runs, each (cutoff, members by segment)."""
    stays, lasting = set(), {}
    for as_of, members in history:
        now = {(name, who) for name, customers in members.items() for who in customers}
        stays |= {(*key, lasting.pop(key), as_of) for key in lasting.keys() - now}
        lasting |= dict.fromkeys(now - lasting.keys(), as_of)
    return stays | {(*one, entered_at, None) for one, entered_at in lasting.items()}


@settings(max_examples=3, deadline=None)
@given(changes=CHANGES)
def test_membership_kept_by_runs_equals_a_recomputation(changes):
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop.create(Path(folder) / "w")
        rules, history = {}, []
        for number, change in enumerate(changes):
            world = world_at(FIRST_CUTOFF + timedelta(days=7 * number), change["seed"], size=12)
            rules |= change["rules"]
            save(shop, change["rules"], world.as_of)
            if change["gone"] in rules:
                rules.pop(change["gone"])
                with shop.store.begin() as connection:
                    delete_definition(connection, change["gone"])
            if change["is_repeated"]:
                write_world(shop, world_at(world.as_of, change["seed"] + 100, size=12))  # cut off before its row
            finish_run(shop, write_world(shop, world))
            if change["is_repeated"]:
                finish_run(shop, write_world(shop, world))  # and once more after it
            members = {
                name: {who for who, one in world.customers.items() if holds(rule, one, world.as_of, rules)}
                for name, rule in rules.items()
            }
            history.append((world.as_of, members))
            assert stays_of(shop) == recomputed(history)
        shop.close()


def test_a_rule_that_names_what_the_run_lacks_leaves_its_members(tmp_path):
    shop = Shop.create(tmp_path / "w")
    save(shop, {"all": AllOf(())}, FIRST_CUTOFF)
    finish_run(shop, write_world(shop, world_at(FIRST_CUTOFF, 1)))
    before = stays_of(shop)
    broken = FieldRule("no_such_feature", Comparison("==", 1))
    save(shop, {"all": broken, "nested": SegmentRule("all")}, FIRST_CUTOFF)
    finish_run(shop, write_world(shop, world_at(FIRST_CUTOFF + timedelta(days=1), 2)))
    assert before
    assert stays_of(shop) == before
    shop.close()
