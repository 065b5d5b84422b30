"""Stays in segments: what runs keep incrementally is what evaluating every run anew gives."""

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.shops.segment_shop import FIRST_CUTOFF, SEGMENTS, finish_run, holds, trees, world_at, write_world

from patron.segments.segment_rules import AllOf, Comparison, FieldRule, Not, SegmentRule
from patron.storage.outreach.approved_terms import terms_today
from patron.storage.outreach.journey_file import JOURNEY, Journey
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


def test_members_who_enter_a_journey_are_kept_by_the_rules_that_were_approved_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shop = Shop.create(tmp_path / "w")
    few, inner = FieldRule("days_since_last_order", Comparison("<=", 60)), AllOf(())

    def let_enter(name, at):
        step = {"do": "send", "template": {"en": {"subject": "Hi", "body": "Hi"}}}
        content = {"name": name, "trigger": {"enters": "a"}, "steps": [step], "topic": "offers", "monthly_budget": 1.0}
        with shop.store.begin() as connection:
            saved = JOURNEY.save(connection, Journey.of(content, where="test"), "Ann", at)
            JOURNEY.take_step(connection, name, "planned", 1, "Ann", at)
        details = {"terms": terms_today(shop, saved.content)}
        with shop.store.begin() as connection:
            JOURNEY.take_step(connection, name, "approved", 1, "Bo", at, details)

    def run(number, seed):
        world = world_at(FIRST_CUTOFF + timedelta(days=7 * number), seed, size=12)
        finish_run(shop, write_world(shop, world))
        return world.as_of, {
            "of trigger": {one for one, of in world.customers.items() if holds(few, of, world.as_of, {})}
        }

    def stays(name):
        rows = last_run(shop).read("trigger_members").to_pylist()
        return {(row["customer_id"], row["entered_at"], row["left_at"]) for row in rows if row["journey"] == name}

    save(shop, {"b": inner, "a": AllOf((few, SegmentRule("b")))}, FIRST_CUTOFF)
    let_enter("first", FIRST_CUTOFF)
    history = [run(0, 1)]
    save(shop, {"a": AllOf(())}, FIRST_CUTOFF)
    history += [run(1, 2)]
    save(shop, {"b": Not(AllOf(())), "a": AllOf((few, SegmentRule("b")))}, FIRST_CUTOFF)
    history += [run(2, 3)]
    save(shop, {"b": inner}, FIRST_CUTOFF)
    let_enter("second", FIRST_CUTOFF)
    history += [run(3, 3)]
    assert stays("first") == {stay[1:] for stay in recomputed(history)} != set()
    assert len({entered_at for _, entered_at, _ in stays("first")}) > 1
    assert stays("second") == {stay[1:] for stay in stays_of(shop) if stay[0] == "a" and stay[3] is None} != set()
    shop.close()
