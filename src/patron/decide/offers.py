"""A retention offer per customer at risk: one decision a customer and run, with its reason and propensity."""

import hashlib

import numpy as np
import pyarrow as pa

from patron.decide.candidates import candidates_query, effects_query, first_offer_query
from patron.decide.expected_value import MeasuredEffect
from patron.decide.fair_churn import audit_churn, moved_stages
from patron.decide.fair_offers import Selected, audit_offers, fairness_table, is_refused, price_rows
from patron.decide.holdout import assign_holdout, is_in_holdout
from patron.decide.selection import (
    NONE,
    Evidence,
    OfferSelection,
    effect_source,
    is_first_month,
    select_offers,
    withhold_offers,
)
from patron.schema.tables import DECISIONS, PROPENSITIES
from patron.storage.policy import Policy
from patron.storage.stage_view import StageView

CONSENT_BASIS = {"refuse": "unknown_refused", "allow": "unknown_allowed"}
WITHDRAWN = "withdrawn"


def decide_offers(view: StageView) -> pa.Table:
    """Decide for every customer at risk, write `decisions`, `propensities` and `fairness`, and return the decisions.

    Where groups of customers would be treated more differently than the policy takes, nobody gets an offer.
    """
    policy = view.policy
    churn = audit_churn(view)
    moved = moved_stages(view, churn)
    rows = _candidates(view, moved)
    customers = rows["customer_id"].to_pylist()
    is_held_out = assign_holdout(view.declared_store, policy.holdout, customers, at=view.run.as_of)
    choice = _select(view, rows, is_held_out)
    fairness = [*churn.rows, *audit_offers(view, churn.groups, rows, choice)]
    if moved.num_rows:
        fairness += price_rows(churn.trait, _without_thresholds(view, moved), (rows, choice))
    if churn.is_refused or is_refused(fairness):
        choice = withhold_offers(choice)
    decisions = decision_rows(view, customers, is_held_out, choice, consent_bases(rows, policy))
    view.write("decisions", decisions)
    view.write("propensities", propensity_rows(decisions, choice.propensities_by_action, [o.id for o in policy.offers]))
    view.write("fairness", fairness_table(view.run.run_id, fairness))
    return decisions


def _candidates(view: StageView, moved: pa.Table) -> pa.Table:
    """Customers considered for an offer, with these lifecycle stages by group."""
    return view.query(candidates_query(view.run.run_id, view.run.as_of, view.policy), moved_stages=moved)


def _without_thresholds(view: StageView, moved: pa.Table) -> Selected:
    """What the run would decide with one threshold for all; assigns nobody to the holdout."""
    rows = _candidates(view, moved.slice(0, 0))
    is_held_out = is_in_holdout(view.declared_store, view.policy.holdout, rows["customer_id"].to_pylist())
    return rows, _select(view, rows, is_held_out)


def _select(view: StageView, rows: pa.Table, is_held_out: np.ndarray) -> OfferSelection:
    """The selected actions of these candidates."""
    run, policy = view.run, view.policy
    effects = {
        (r["offer"], r["stratum"]): MeasuredEffect(r["effect_cents"], r["standard_error"], r["window_share"])
        for r in view.query(effects_query(run.run_id)).to_pylist()
    }
    first = first_offer_query(run.run_id, run.as_of, is_delivered=policy.channel.is_delivered)
    first_at = view.query(first)["first_at"][0].as_py()
    return select_offers(
        rows,
        is_held_out,
        policy,
        Evidence(
            effects,
            is_exploring=is_first_month(run.as_of, first_at, policy.exploration.first_days),
            margin_share=view.settings.shop.margin_share,
        ),
        rng=np.random.default_rng(run.child_seed("decide offers")),
    )


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
            "decision_id": pa.array([decision_id(run.run_id, one) for one in customers], pa.string()),
            "customer_id": pa.array(customers, pa.string()),
            "as_of": pa.array([run.as_of] * count, DECISIONS.schema().field("as_of").type),
            "action": pa.array(names[choice.action], pa.string()),
            "expected_net_value_cents": _of_action(choice.expected.net, choice.action, is_offer),
            "effect_cents": _of_action(choice.expected.effect, choice.action, is_offer),
            "cost_cents": _of_action(choice.expected.cost, choice.action, is_offer),
            "propensity": choice.propensity,
            "reason": pa.array(choice.reason, pa.string()),
            "stratum": pa.array(choice.stratum, pa.string()),
            "effect_source": pa.array(effect_source(choice), pa.string()),
            "policy_version": pa.array([view.policy.version] * count, pa.string()),
            "is_holdout": pa.array(is_held_out, pa.bool_()),
            "consent_basis": pa.array(bases, pa.string()),
        }
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
