"""No personal data in clear, whatever it is, under whatever key, in whatever place of an event."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.personal_values import KEYS, sample
from tests.support.ways_in import WAYS, bring_in
from tests.support.workspace_bytes import mentions

from patron.collect.inbox.compaction import drain_inbox
from patron.collect.inbox.workspace_inbox import inbox_position
from patron.collect.personal_columns import replace_personal_values
from patron.collect.segment_message import raw_event_of
from patron.govern.master_key import derive_keys
from patron.govern.vault import Vault
from patron.schema.data.raw_events import IDENTIFIERS, JSON_FOR_THE_VAULT, raw_events_table
from patron.schema.errors import BadEvent
from patron.schema.tables import EVENTS
from patron.understand.profiles.profile_writer import rebuild_profiles

SEALED = {*IDENTIFIERS, *JSON_FOR_THE_VAULT, "payload"}
"""Columns that the vault takes, and the sealed content of a rejected event."""
VAULT = Vault(None, derive_keys(bytes(32)))  # pyright: ignore[reportArgumentType] - tokens need no store


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_what_becomes_of_an_event_holds_no_personal_data_in_clear(seed):
    cases, rows = sample(random.Random(seed), 60), []  # noqa: S311 - no secret
    for number, case in enumerate(cases):
        try:
            rows.append(raw_event_of(case.message(number)))
        except BadEvent as error:
            rows.append({"problem": f"bad_event:{error}"})
    events = replace_personal_values(VAULT, raw_events_table(rows))
    clear = events.drop_columns([name for name in events.column_names if name in SEALED]).to_pylist()
    assert [case for case, row in zip(cases, clear, strict=True) if case.needle in repr(row)] == []


def test_no_way_in_leaves_a_personal_value_in_clear_anywhere(shop, tmp_path, capfd, caplog):
    rng, values = random.Random(12), set()  # noqa: S311 - no secret
    for way in WAYS:
        values |= set(bring_in(shop, way, sample(rng, 120), tmp_path / "files" / way, rng, rng.sample(KEYS, 10)))
    assert len(values) > 2_000
    assert not mentions(shop, values)
    drain_inbox(shop)
    rebuild_profiles(shop, inbox_position(shop))
    assert not mentions(shop, values)
    assert mentions(shop, ["Product Viewed"])
    shown = "".join(capfd.readouterr()) + caplog.text
    assert [value for value in values if value in shown] == []
    assert shop.query(f"select count(*) as n from ({shop.lake.relation(EVENTS)})")["n"][0].as_py() > 700
