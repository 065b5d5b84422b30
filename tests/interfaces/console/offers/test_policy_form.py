"""The policy's form: which terms of an offer it edits, and what a changed field becomes."""

from patron.interfaces.console.offers.policy_form import policy_form, requested_changes
from patron.storage.offers.policy import Policy

DELIVERY = {"id": "ship", "kind": "free_delivery", "cost_per_order_cents": 450, "assumed_purchase_uplift": 0.1}
REMINDER = {"id": "nudge", "kind": "reminder", "assumed_purchase_uplift": 0.1}


def test_free_delivery_has_the_size_from_which_orders_are_delivered_free_anyway():
    policy = Policy.model_validate({"offers": [DELIVERY | {"delivery_free_from": 60}, REMINDER]})
    places = {field.place: field for field in policy_form(policy).fields}
    field = places["offers", 0, "delivery_free_from"]
    assert field.value == "60.00"
    assert ("offers", 1, "delivery_free_from") not in places
    shown = {field.name: field.value for field in places.values()}
    assert requested_changes(policy, shown | {field.name: "45.50"}) == ({field.place: 45.5}, {})
    assert requested_changes(policy, shown | {field.name: "soon"}) == ({}, {field.name: "not_money"})
