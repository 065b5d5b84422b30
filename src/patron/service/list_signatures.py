"""Proof that we made a list: each place has a token of all that feedback about it must say."""

from collections.abc import Mapping
from typing import Any

from patron.govern.vault import Vault
from patron.recommenders.live.click_model import SOURCES
from patron.recommenders.live.list_maker import ListedProduct

DECIMALS = 3
"""Of each number: longer ones could be somebody's and are not kept in clear."""
EXPECTED_CLICKS = "expected_clicks_per_1000"
INTERESTS = tuple(f"interest_{source}" for source in SOURCES[:-1])
NUMBERS = ("position", "propensity", EXPECTED_CLICKS, *INTERESTS)


def event_properties(
    vault: Vault, list_id: str, scenario: str, position: int, listed: ListedProduct, product_id: str
) -> dict[str, Any]:
    """Properties that the page sends back with Recommendation Shown, Clicked and Hidden."""
    values = (listed.propensity, 1_000 * listed.expected_clicks, *listed.interests)
    properties: dict[str, Any] = {
        "list_id": list_id,
        "scenario": scenario,
        "product_id": product_id,
        "position": position,
        **{name: _rounded(value) for name, value in zip(NUMBERS[1:], values, strict=True)},
    }
    return {"decision_id": _token(vault, product_id, properties), **properties}


def is_ours(vault: Vault, decision_id: str, product_id: str, properties: Mapping[str, Any]) -> bool:
    """Whether feedback is about a place of a list that we made, and says of it what we said."""
    try:
        return decision_id == _token(vault, product_id, properties)
    except (KeyError, TypeError, ValueError):
        return False


def _token(vault: Vault, product_id: str, properties: Mapping[str, Any]) -> str:
    numbers = "|".join(f"{float(properties[name]):.{DECIMALS}f}" for name in NUMBERS)
    return vault.token("recommendation", f"{properties['list_id']}|{properties['scenario']}|{product_id}|{numbers}")


def _rounded(value: float) -> float:
    return round(value, DECIMALS)


def interests_of(properties: Mapping[str, Any]) -> list[float]:
    """How much each source spoke for a product, the last of which always does."""
    return [*(float(properties[name]) for name in INTERESTS), 1.0]
