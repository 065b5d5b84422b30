"""Rows of `decisions`, `alternatives` and `propensities` of the offers that were selected."""

import hashlib

import numpy as np
import pyarrow as pa

from patron.decide.selection import NONE, OfferSelection, effect_source
from patron.schema.tables import ALTERNATIVES, DECISIONS, PROPENSITIES
from patron.storage.offers.policy import Policy
from patron.storage.runs.stage_view import StageView

CONSENT_BASIS = {"refuse": "unknown_refused", "allow": "unknown_allowed"}
WITHDRAWN = "withdrawn"
UNFAIR = "unfair"


def consent_bases(rows: pa.Table, policy: Policy) -> list[str]:
    """Lawful basis on which each candidate may be contacted, or why not."""
    consents = zip(rows["is_consent_granted"].to_pylist(), rows["consent_basis"].to_pylist(), strict=True)
    unknown = CONSENT_BASIS[policy.consent.unknown]
    return [unknown if is_granted is None else basis if is_granted else WITHDRAWN for is_granted, basis in consents]


def decision_rows(
    view: StageView, customers: list[str], is_held_out: np.ndarray, choice: OfferSelection, bases: list[str]
) -> pa.Table:
    """Rows of `decisions`; effect and cost of 'none' are 0."""
    run, names = view.run, np.array([*(offer.id for offer in view.policy.offers), NONE])
    count, is_offer = len(customers), choice.action >= 0
    return pa.table(
        {
            "run_id": pa.array([run.run_id] * count, pa.string()),
            "decision_id": pa.array([decision_id(run.run_id, customer) for customer in customers], pa.string()),
            "customer_id": pa.array(customers, pa.string()),
            "as_of": pa.array([run.as_of] * count, DECISIONS.schema().field("as_of").type),
            "action": pa.array(names[choice.action], pa.string()),
            "expected_net_value_cents": _of_action(choice.expected.net, choice.action, is_offer),
            "effect_cents": _of_action(choice.expected.effect, choice.action, is_offer),
            "cost_cents": _of_action(choice.expected.cost, choice.action, is_offer),
            "exploration_cost_cents": choice.exploration_cost_cents,
            "propensity": choice.propensity,
            "reason": pa.array(choice.reason, pa.string()),
            "stratum": pa.array(choice.stratum, pa.string()),
            "effect_source": pa.array(effect_source(choice), pa.string()),
            "policy_version": pa.array([view.policy.version] * count, pa.string()),
            "is_holdout": pa.array(is_held_out, pa.bool_()),
            "consent_basis": pa.array(bases, pa.string()),
            "budget_price": np.full(count, choice.budget_price),
        }
    )


def alternative_rows(decisions: pa.Table, choice: OfferSelection, offers: list[str]) -> pa.Table:
    """Rows of `alternatives`: every offer for every customer, with what it was expected to bring."""
    customer, offer = (index.ravel() for index in np.indices((decisions.num_rows, len(offers))))
    is_unfair = (choice.reason == UNFAIR)[:, None] & (choice.forbidden == "")
    forbidden = np.where(is_unfair, UNFAIR, choice.forbidden).ravel()
    taken = decisions.select(["run_id", "decision_id", "customer_id"]).take(pa.array(customer))
    return pa.table(
        {
            **{name: taken[name] for name in taken.column_names},
            "action": pa.array(np.array(offers, dtype=np.str_)[offer], pa.string()),
            "expected_net_value_cents": choice.expected.net.ravel(),
            "effect_cents": choice.expected.effect.ravel(),
            "cost_cents": choice.expected.cost.ravel(),
            "propensity": choice.propensities_by_action[:, :-1].ravel(),
            "forbidden_by": pa.array(forbidden, pa.string(), mask=forbidden == ""),
        },
        schema=ALTERNATIVES.schema(),
    )


def propensity_rows(decisions: pa.Table, probability: np.ndarray, offers: list[str]) -> pa.Table:
    """Rows of `propensities`: the actions that a randomised decision could have had; none for other decisions."""
    row, action = np.nonzero((probability > 0) & (probability.max(axis=1) < 1)[:, None])
    taken = decisions.select(["run_id", "decision_id", "customer_id"]).take(pa.array(row))
    return pa.table(
        {
            **{name: taken[name] for name in taken.column_names},
            "action": pa.array(np.array([*offers, NONE])[action], pa.string()),
            "propensity": probability[row, action],
        },
        schema=PROPENSITIES.schema(),
    )


def decision_id(run_id: str, customer_id: str) -> str:
    """Id of a decision: the same on every rerun."""
    return hashlib.sha256(f"{run_id}/{customer_id}".encode()).hexdigest()[:24]


def _of_action(values: np.ndarray, action: np.ndarray, is_offer: np.ndarray) -> np.ndarray:
    chosen = np.zeros(len(action))
    chosen[is_offer] = values[is_offer, action[is_offer]]
    return chosen
