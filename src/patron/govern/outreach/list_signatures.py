"""Proof that we made a list: each of its places has a token of all that feedback about it must say."""

from collections.abc import Mapping
from typing import Any

from patron.govern.vault import Vault
from patron.schema.events.loop_events import RecommendationShown

DECIMALS = 3
"""Of each number: longer ones could be somebody's and are not kept in clear."""
EXPECTED_CLICKS = "expected_clicks_per_1000"
INTERESTS = tuple(name for name in RecommendationShown.__struct_fields__ if name.startswith("interest_"))
"""Properties that say how much each source spoke for a product."""
NUMBERS = ("position", "propensity", EXPECTED_CLICKS, *INTERESTS)


def signed_properties(vault: Vault, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Properties to send back with Recommendation Shown, Clicked and Hidden: rounded, and with their token.

    Needs list_id, scenario, product_id and the NUMBERS.
    """
    rounded = {name: round(one, DECIMALS) if isinstance(one, float) else one for name, one in properties.items()}
    return {"decision_id": _token(vault, rounded), **rounded}


def is_ours(vault: Vault, decision_id: str, product_id: str, properties: Mapping[str, Any]) -> bool:
    """Whether feedback is about a place of a list that we made, and says of it what we said."""
    try:
        return decision_id == _token(vault, {**properties, "product_id": product_id})
    except (KeyError, TypeError, ValueError):
        return False


def interests_of(properties: Mapping[str, Any]) -> list[float]:
    """How much each source spoke for a product; the last one always does."""
    return [*(float(properties[name]) for name in INTERESTS), 1.0]


def _token(vault: Vault, properties: Mapping[str, Any]) -> str:
    numbers = "|".join(f"{float(properties[name]):.{DECIMALS}f}" for name in NUMBERS)
    names = "|".join(str(properties[name]) for name in ("list_id", "scenario", "product_id"))
    return vault.token("recommendation", f"{names}|{numbers}")
