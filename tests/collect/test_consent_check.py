"""Consent on the way in: what is told is in the ledger, and behaviour without it is what the policy makes of it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from patron.collect.consent_check import preferences_of
from patron.collect.request import SourceRules, validate_batch
from patron.storage.policy import Consent, Policy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANALYTICS = Consent(events_need="analytics", names={"C0002": "analytics"})


def message(event="Product Viewed", **changes):
    told = {"type": "track", "event": event, "messageId": "m", "userId": "u1", "anonymousId": "v1"}
    return told | {"timestamp": (NOW - timedelta(minutes=1)).isoformat(), "properties": {}} | changes


def judged(promise, told, *, is_secret=False):
    rules = SourceRules(32_768, frozenset(), is_secret=is_secret, consent=promise)
    return validate_batch(json.dumps({"batch": [told]}).encode(), "web", NOW, rules).messages[0]


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"consent": {"categoryPreferences": {"Analytics": True, "Ads": False}}}, {"analytics": True, "ads": False}),
        ({"consentManagement": {"allowedConsentIds": ["C0002"]}}, {"c0002": True}),
        ({"consentManagement": {"deniedConsentIds": ["X"]}}, {"x": False}),
        ({"consentManagement": {"allowedConsentIds": ["C0002"], "deniedConsentIds": ["C0002"]}}, {"c0002": False}),
        ({"consent": {"categoryPreferences": ["Analytics"]}, "consentManagement": 7}, {}),
        ({"consent": {"categoryPreferences": {"Analytics": "yes"}}}, {}),
        ({"consent": {"categoryPreferences": {"x" * 101: True, " ": True}}}, {}),
        (None, {}),
    ],
)
def test_consent_managers_say_yes_or_no_by_purpose(context, said):
    assert preferences_of({"context": context}) == said


def test_what_a_client_says_beside_behaviour_is_flagged():
    def flags(promise, is_granted):
        context = {"consent": {"categoryPreferences": {"analytics": is_granted}}}
        return judged(promise, message(context=context)).row["flags"]

    assert flags(ANALYTICS, is_granted=True) == ["consent_stated"]
    assert flags(ANALYTICS, is_granted=False) == ["no_consent"]
    assert flags(Consent(), is_granted=False) is None
    by_id = {"consentManagement": {"deniedConsentIds": ["c0002"]}}
    assert judged(ANALYTICS, message(context=by_id)).row["flags"] == ["no_consent"]


def test_orders_and_who_somebody_is_need_no_consent():
    context = {"consent": {"categoryPreferences": {"analytics": False}}}
    for told in (message("Order Completed", context=context), message(type="identify", context=context)):
        assert "no_consent" not in (judged(ANALYTICS, told).row["flags"] or ())


def test_with_a_public_key_consent_counts_for_the_device_only():
    yes = message("Consent Given", properties={"purpose": "marketing"})
    public, secret = judged(Consent(), yes), judged(Consent(), yes, is_secret=True)
    assert (public.row["user_id"], public.row["anonymous_id"]) == (None, "v1")
    assert (secret.row["user_id"], secret.row["anonymous_id"]) == ("u1", "v1")
    refused = judged(Consent(), yes | {"anonymousId": None})
    assert "secret key" in refused.row["problem"]


def test_consent_without_a_purpose_is_set_aside():
    assert "properties.purpose" in judged(Consent(), message("Consent Given"), is_secret=True).row["problem"]


def test_a_purpose_longer_than_any_name_is_set_aside():
    told = message("Consent Given", properties={"purpose": "p" * 101})
    assert "100 characters" in judged(Consent(), told, is_secret=True).row["problem"]


def test_the_policy_names_purposes_whatever_their_case():
    promise = Policy.model_validate({"consent": {"names": {"c0002": "Analytics"}}}).consent
    assert [promise.purpose(one) for one in ("C0002", " ANALYTICS ", "Ads")] == ["analytics", "analytics", "ads"]
    assert [promise.allows(is_granted=one) for one in (True, False, None)] == [True, False, False]
    assert Consent(unknown="allow").allows(is_granted=None)
