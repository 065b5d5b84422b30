"""The ledger of consents is only ever added to, and says what was last told by a moment."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from patron.govern.consent_ledger import (
    Consent,
    erase_wordings,
    first_damaged_entry,
    history,
    iso_time,
    latest_answer,
    write_consents,
)
from patron.storage.store import CONSENT_LEDGER

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def told(event_id, *, is_granted=True, day=0, whose="u_1", purpose="marketing"):
    at = iso_time(NOW + timedelta(days=day))
    words = dict.fromkeys(("wording", "wording_version", "policy_version", "locale", "channel"))
    return Consent(event_id, whose, purpose, is_granted, "consent", **words, occurred_at=at, known_at=at)


def test_what_was_told_is_added_once(shop):
    assert write_consents(shop.store, [told("a"), told("b", day=1), told("a")]) == 2
    assert write_consents(shop.store, [told("b", day=1), told("c", day=2), told("a", purpose="analytics")]) == 2
    assert [one["entry"] for one in history(shop.store, ["u_1"])] == [1, 4, 2, 3]
    assert first_damaged_entry(shop.store) is None


@pytest.mark.parametrize(
    "change",
    [
        sa.update(CONSENT_LEDGER).where(CONSENT_LEDGER.c.entry == 2).values(is_granted=False),
        sa.update(CONSENT_LEDGER).where(CONSENT_LEDGER.c.entry == 2).values(wording="other words"),
        sa.delete(CONSENT_LEDGER).where(CONSENT_LEDGER.c.entry == 2),
        sa.delete(CONSENT_LEDGER).where(CONSENT_LEDGER.c.entry >= 2),
    ],
)
def test_a_changed_or_missing_entry_is_found(shop, change):
    write_consents(shop.store, [told("a"), told("b")])
    write_consents(shop.store, [told("c")])
    with shop.store.begin() as connection:
        connection.execute(change)
    assert first_damaged_entry(shop.store) == 2


def test_what_is_known_later_changes_nothing_of_what_held_before(shop):
    late = replace(told("late", is_granted=False, day=1), known_at=iso_time(NOW + timedelta(days=9)))
    write_consents(shop.store, [told("a"), late])
    found = history(shop.store, ["u_1"])
    assert latest_answer(found, known_by=NOW + timedelta(days=5)) is True
    assert latest_answer(found, known_by=NOW + timedelta(days=9)) is False


def test_words_are_kept_once_and_go_with_the_last_who_was_shown_them(shop):
    both, own = "Yes, write to me.", "I, Ann, agree."
    write_consents(shop.store, [replace(told("a"), wording=both), replace(told("b", whose="u_2"), wording=both)])
    write_consents(shop.store, [replace(told("c"), wording=own)])
    assert [one["words"] for one in history(shop.store, ["u_1"])] == [both, own]
    assert erase_wordings(shop.store, ["u_1"]) == 1
    assert [one["words"] for one in history(shop.store, ["u_1"])] == [both, None]
    assert first_damaged_entry(shop.store) is None


def test_the_last_word_before_a_moment_counts_whenever_it_came(shop):
    entries = [told("a", day=1), told("b", is_granted=False, day=3), told("c", day=5)]
    for n, order in enumerate(permutations(entries)):
        token = f"u_{n}"
        write_consents(shop.store, [replace(one, token=token, event=f"{n}{one.event}") for one in order])
        found = history(shop.store, [token], ["marketing"])
        said = [latest_answer(found, NOW + timedelta(days=day)) for day in (0, 1, 2, 3, 4, 5, 9)]
        assert said == [None, True, True, False, False, True, True]


@given(st.permutations([True, False, True]))
def test_at_the_same_moment_a_no_counts(order):
    entries = [{"occurred_at": iso_time(NOW), "is_granted": one, "entry": n} for n, one in enumerate(order)]
    assert latest_answer(entries, NOW) is False
