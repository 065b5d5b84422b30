"""Consent at collection: answers go to the ledger, and the policy decides about behaviour without consent."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from patron.collect.consent_check import preferences_of
from patron.collect.request import SourceRules, validate_batch
from patron.storage.offers.policy import Consent, Policy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANALYTICS = Consent(events_need="analytics", names={"C0002": "analytics"})


def message(event="Product Viewed", **changes):
    base = {"type": "track", "event": event, "messageId": "m", "userId": "u1", "anonymousId": "v1"}
    return base | {"timestamp": (NOW - timedelta(minutes=1)).isoformat(), "properties": {}} | changes


def validated_message(consent, event, *, is_secret=False):
    rules = SourceRules(32_768, frozenset(), is_secret=is_secret, consent=consent)
    return validate_batch(json.dumps({"batch": [event]}).encode(), "web", NOW, rules).messages[0]


@pytest.mark.parametrize(
    ("context", "preferences"),
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
def test_consent_managers_say_yes_or_no_by_purpose(context, preferences):
    assert preferences_of({"context": context}) == preferences


def test_a_consent_state_sent_with_behaviour_is_flagged():
    def flags(consent, is_granted):
        context = {"consent": {"categoryPreferences": {"analytics": is_granted}}}
        return validated_message(consent, message(context=context)).row["flags"]

    assert flags(ANALYTICS, is_granted=True) == ["consent_stated"]
    assert flags(ANALYTICS, is_granted=False) == ["no_consent"]
    assert flags(Consent(), is_granted=False) is None
    by_id = {"consentManagement": {"deniedConsentIds": ["c0002"]}}
    assert validated_message(ANALYTICS, message(context=by_id)).row["flags"] == ["no_consent"]


def test_orders_and_who_somebody_is_need_no_consent():
    context = {"consent": {"categoryPreferences": {"analytics": False}}}
    for event in (message("Order Completed", context=context), message(type="identify", context=context)):
        assert "no_consent" not in (validated_message(ANALYTICS, event).row["flags"] or ())


def test_with_a_public_key_consent_counts_for_the_device_only():
    yes = message("Consent Given", properties={"purpose": "marketing"})
    public, secret = validated_message(Consent(), yes), validated_message(Consent(), yes, is_secret=True)
    assert (public.row["user_id"], public.row["anonymous_id"]) == (None, "v1")
    assert (secret.row["user_id"], secret.row["anonymous_id"]) == ("u1", "v1")
    refused = validated_message(Consent(), yes | {"anonymousId": None})
    assert "secret key" in refused.row["problem"]


def test_consent_without_a_purpose_is_rejected():
    assert "properties.purpose" in validated_message(Consent(), message("Consent Given"), is_secret=True).row["problem"]


def test_a_purpose_longer_than_any_name_is_rejected():
    event = message("Consent Given", properties={"purpose": "p" * 101})
    assert "100 characters" in validated_message(Consent(), event, is_secret=True).row["problem"]


def test_the_policy_names_purposes_whatever_their_case():
    consent = Policy.model_validate({"consent": {"names": {"c0002": "Analytics"}}}).consent
    assert [consent.purpose(one) for one in ("C0002", " ANALYTICS ", "Ads")] == ["analytics", "analytics", "ads"]
    assert [consent.allows(is_granted=one) for one in (True, False, None)] == [True, False, False]
    assert Consent(unknown="allow").allows(is_granted=None)
