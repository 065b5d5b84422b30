"""The consent ledger is append-only and gives the last answer known at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from patron.govern.privacy.consent_ledger import (
    Consent,
    erase_wordings,
    first_damaged_entry,
    history,
    iso_time,
    latest_answer,
    wording_hash,
    write_consents,
)
from patron.storage.store.store import CONSENT_LEDGER

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def consent(event_id, *, is_granted=True, day=0, user="u_1", purpose="marketing"):
    at = iso_time(NOW + timedelta(days=day))
    words = dict.fromkeys(("wording", "wording_version", "policy_version", "locale", "channel"))
    return Consent(event_id, user, purpose, is_granted, "consent", **words, occurred_at=at, known_at=at)


def test_each_consent_is_added_once(shop):
    assert write_consents(shop.store, [consent("a"), consent("b", day=1), consent("a")]) == 2
    assert (
        write_consents(shop.store, [consent("b", day=1), consent("c", day=2), consent("a", purpose="analytics")]) == 2
    )
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
    write_consents(shop.store, [consent("a"), consent("b")])
    write_consents(shop.store, [consent("c")])
    with shop.store.begin() as connection:
        connection.execute(change)
    assert first_damaged_entry(shop.store) == 2


def test_what_is_known_later_changes_nothing_of_what_held_before(shop):
    late = replace(consent("late", is_granted=False, day=1), known_at=iso_time(NOW + timedelta(days=9)))
    write_consents(shop.store, [consent("a"), late])
    found = history(shop.store, ["u_1"])
    assert latest_answer(found, known_by=NOW + timedelta(days=5)) is True
    assert latest_answer(found, known_by=NOW + timedelta(days=9)) is False


def test_wordings_are_kept_once_and_erased_with_the_last_person_who_saw_them(shop):
    both, personal = "Yes, write to me.", "I, Ann, agree."

    def with_words(one, words):
        return replace(one, wording=wording_hash(words), sealed_words=words)

    write_consents(shop.store, [with_words(consent("a"), both), with_words(consent("b", user="u_2"), both)])
    write_consents(shop.store, [with_words(consent("c"), personal)])
    assert [one["words"] for one in history(shop.store, ["u_1"])] == [both, personal]
    assert erase_wordings(shop.store, ["u_1"]) == 1
    assert [one["words"] for one in history(shop.store, ["u_1"])] == [both, None]
    assert first_damaged_entry(shop.store) is None


def test_the_last_answer_before_a_time_counts_whenever_it_was_received(shop):
    entries = [consent("a", day=1), consent("b", is_granted=False, day=3), consent("c", day=5)]
    for n, order in enumerate(permutations(entries)):
        token = f"u_{n}"
        write_consents(shop.store, [replace(one, token=token, event=f"{n}{one.event}") for one in order])
        found = history(shop.store, [token], ["marketing"])
        answers = [latest_answer(found, NOW + timedelta(days=day)) for day in (0, 1, 2, 3, 4, 5, 9)]
        assert answers == [None, True, True, False, False, True, True]


@given(st.permutations([True, False, True]))
def test_of_answers_at_the_same_time_a_no_counts(order):
    entries = [{"occurred_at": iso_time(NOW), "is_granted": one, "entry": n} for n, one in enumerate(order)]
    assert latest_answer(entries, NOW) is False
