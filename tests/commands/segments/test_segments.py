"""Segments from a file to a list of members, in a workspace in which a run has finished."""

import csv
import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from patron.answers.segments.saved_segments import (
    compare_segments,
    count_rule,
    count_segment,
    list_segments,
    segment_names,
    show_segment,
)
from patron.collect.loader import load_events
from patron.commands.segments.export_segment import export_members
from patron.commands.segments.save_segment import (
    EXAMPLE,
    delete_segment,
    read_segment_file,
    restore_segment,
    save_segment,
)
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.govern.privacy.consent_ledger import Consent, write_consents
from patron.govern.vault import Vault
from patron.run import run_loop
from patron.schema.errors import BadFile, BadSegment
from patron.schema.table_definition import TIME
from patron.storage.shop import Shop

NOW = datetime(2024, 6, 2, tzinfo=UTC)
RECENT = {"name": "recent", "rule": {"event": "Order Completed", "within_days": 10}}
OTHERS = {"name": "others", "folder": "late", "rule": {"not": {"segment": "recent"}}}


@pytest.fixture
def shop(w):
    shop = Shop.open(w)
    yield shop
    shop.close()


def save(shop, *contents):
    for content in contents:
        save_segment(RequestContext.from_name(shop, "A. Lee", now=NOW), content)


def test_the_example_works_and_holds_everybody(shop, tmp_path):
    (tmp_path / "e.toml").write_text(EXAMPLE, encoding="utf-8")
    save(shop, read_segment_file(tmp_path / "e.toml"))
    assert count_segment(shop, "every customer").count == 20


def test_counts_lists_and_members_agree_and_members_carry_the_shops_ids(shop, tmp_path):
    save(shop, RECENT, OTHERS)
    token = Vault.open(shop).token("user_id", "u3")
    stated = NOW.isoformat()
    consent = Consent("e1", token, "marketing", True, "consent", *[None] * 5, stated, stated)
    write_consents(shop.store, [consent])
    counts = {line.name: line.customer_count for line in list_segments(shop)}
    assert sum(counts.values()) == 20
    rows = []
    for name, customers in counts.items():
        written = export_members(RequestContext.from_name(shop, now=NOW), name, tmp_path / f"{name}.csv")
        with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            listed = list(csv.DictReader(file))
        assert written.customer_count == len(listed) == customers == count_segment(shop, name).count
        rows += listed
    assert {row["user_id"] for row in rows} == {f"u{n}" for n in range(20)}
    assert [row["user_id"] for row in rows if row["may_be_contacted"] == "true"] == ["u3"]
    logged = [
        json.loads(entry.details) for entry in audit_log.entries(shop.store) if entry.action == "segment exported"
    ]
    assert {one["segment"]: one["customer_count"] for one in logged} == counts


def test_no_cell_of_the_file_is_a_formula(shop, tmp_path):
    save(shop, {"name": "everybody", "rule": {"all": []}})
    with pytest.MonkeyPatch.context() as patch:  # why: a run with such ids would take long
        patch.setattr(Vault, "reveal", lambda _self, tokens: ["=cmd|' /C calc'!A0" for _ in tokens])
        export_members(RequestContext.from_name(shop, now=NOW), "everybody", tmp_path / "m.csv")
    lines = (tmp_path / "m.csv").read_text("utf-8").splitlines()[1:]
    assert len(lines) == 20
    assert all(line.startswith("\"'=cmd") for line in lines)
    with pytest.raises(BadFile, match="not a format"):
        export_members(RequestContext.from_name(shop, now=NOW), "everybody", tmp_path / "m.xlsx")


def test_a_run_writes_who_entered_and_an_edit_counts_at_once(shop):
    save(shop, RECENT)
    run_loop(shop, datetime(2024, 6, 2, tzinfo=UTC))
    before = show_segment(shop, "recent")
    assert before.entered_count == before.totals.customer_count > 0
    assert before.left_count == 0
    save(shop, RECENT | {"rule": {"any": []}})
    assert show_segment(shop, "recent").totals.customer_count == 0
    restore_segment(RequestContext.from_name(shop, "B", now=NOW), "recent", 1)
    after = show_segment(shop, "recent", since=datetime(2024, 6, 3, tzinfo=UTC))
    assert (after.entered_count, after.totals) == (0, before.totals)
    assert [version.version for version in after.versions] == [3, 2, 1]


def test_a_comparison_splits_two_segments_without_rest(shop):
    save(shop, RECENT, OTHERS, {"name": "everybody", "rule": {"all": []}})
    totals = compare_segments(shop, "recent", "everybody").totals
    assert totals["both"] == totals["first"]
    assert totals["only_first"].customer_count == 0
    assert totals["only_second"].customer_count == count_segment(shop, "others").count
    assert [overlap.name for overlap in show_segment(shop, "recent").overlaps] == ["everybody"]


def test_problems_of_a_file_are_named_together(shop):
    content = {"nam": "x", "rule": {"field": "orders", "op": "==", "value": 1}}
    with pytest.raises(BadSegment) as refusal:
        save_segment(RequestContext.from_name(shop, "A", now=NOW), content)
    for problem in ("nam is not a key. Did you mean name?", "name is missing", "no field 'orders'"):
        assert problem in str(refusal.value)


def test_a_live_count_holds_what_was_stored_since_the_run(shop):
    viewed = {"name": "viewed", "rule": {"event": "Product Viewed", "within_days": 10}}
    save(shop, viewed)
    before = count_segment(shop, "viewed").count
    event = {"event_id": ["v1"], "name": ["Product Viewed"], "user_id": ["u3"], "product_id": ["p1"]}
    rows = pa.table(event | {"occurred_at": pa.array([NOW], TIME)})
    load_events(shop, rows, source="web", known="received", received_at=NOW)
    later = NOW + timedelta(hours=1)
    assert count_segment(shop, "viewed").count == before == 0
    assert count_segment(shop, "viewed", at=NOW).count == 0
    assert (
        count_segment(shop, "viewed", at=later).count
        == count_rule(shop, viewed["rule"], is_live=True, now=later).count
        == 1
    )
    assert count_segment(shop, "viewed", at=later + timedelta(days=11)).count == 0


def test_rules_name_features_of_the_run_and_a_deleted_segment_is_gone(shop):
    names = segment_names(shop)
    assert {"value_decile", "churn_probability", "order_count_90_days"} <= {field_.name for field_ in names.fields}
    save(shop, RECENT)
    delete_segment(RequestContext.from_name(shop, "A", now=NOW), "recent")
    assert list_segments(shop) == ()
