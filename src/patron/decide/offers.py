"""A retention offer per customer at risk: one decision a customer and run, with its reason and propensity."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from patron.decide.budget_period import Remaining, remaining
from patron.decide.candidates import candidates_query
from patron.decide.decision_rows import alternative_rows, consent_bases, decision_rows, propensity_rows
from patron.decide.eligibility import Supply, refuses_personal_offers
from patron.decide.evidence import read_evidence
from patron.decide.fair_churn import audit_churn, moved_stages
from patron.decide.fair_offers import Selected, audit_offers, fairness_table, is_refused, price_rows
from patron.decide.holdout import assign_holdout, is_in_holdout
from patron.decide.selection import OfferSelection, select_offers, withhold_offers
from patron.storage.offers.offer_rules import OfferRules
from patron.storage.offers.offer_usage import issued_offers, offered
from patron.storage.runs.stage_view import StageView


def decide_offers(view: StageView) -> pa.Table:
    """Decide for every customer at risk, write the tables of decisions and `fairness`, and return the decisions.

    Where groups of customers would be treated more differently than the policy takes, nobody gets an offer.
    """
    policy = view.policy
    churn = audit_churn(view)
    moved = moved_stages(view, churn)
    rows = _candidates(view, moved)
    customers = rows["customer_id"].to_pylist()
    is_held_out = np.zeros(len(customers), dtype=np.bool_)
    scored = np.flatnonzero(~refuses_personal_offers(rows))
    is_held_out[scored] = assign_holdout(
        view.declared_store, policy.holdout, [customers[at] for at in scored], at=view.run.as_of
    )
    choice = _select(view, rows, is_held_out)
    fairness = [*churn.rows, *audit_offers(view, churn.groups, rows, choice)]
    if moved.num_rows:
        fairness += price_rows(churn.trait, _without_thresholds(view, moved), (rows, choice))
    if churn.is_refused or is_refused(fairness):
        choice = withhold_offers(choice)
    decisions = decision_rows(view, customers, is_held_out, choice, consent_bases(rows, policy))
    view.write("decisions", decisions)
    offers = [offer.id for offer in policy.offers]
    view.write("alternatives", alternative_rows(decisions, choice, offers))
    view.write("propensities", propensity_rows(decisions, choice.propensities_by_action, offers))
    view.write("fairness", fairness_table(view.run.run_id, fairness))
    return decisions


def _candidates(view: StageView, moved: pa.Table, *, is_past: bool = False) -> pa.Table:
    """Customers considered for an offer, with these lifecycle stages by group.

    Offers of the run itself do not count: a rerun decides the same. Those of later cutoffs do, as they went out as
    well, but not where the run `is_past`.
    """
    run, lookback = view.run, timedelta(days=view.policy.caps.within_days)
    until = run.as_of if is_past else run.as_of + lookback
    had = offered(view, view.declared_store, run.as_of - lookback, until, without_run=run.run_id)
    return view.query(candidates_query(run.run_id, run.as_of, view.policy), moved_stages=moved, offered=had)


def _without_thresholds(view: StageView, moved: pa.Table, *, is_past: bool = False) -> Selected:
    """What the run would decide with one threshold for all; assigns nobody to the holdout."""
    rows = _candidates(view, moved.slice(0, 0), is_past=is_past)
    is_held_out = is_in_holdout(view.declared_store, view.policy.holdout, rows["customer_id"].to_pylist())
    return rows, _select(view, rows, is_held_out)


def _select(view: StageView, rows: pa.Table, is_held_out: np.ndarray) -> OfferSelection:
    """The selected actions of these candidates."""
    run, policy = view.run, view.policy
    left = remaining(view)
    return select_offers(
        rows,
        is_held_out,
        policy,
        read_evidence(
            view.query,
            margin_share=view.settings.shop.margin_share,
            rules=OfferRules.load(view.offer_rules_file, policy.offers),
        ),
        budget_cents=left.budget_cents,
        regret_cents=left.regret_cents,
        rng=np.random.default_rng(run.child_seed("decide offers")),
        supply=_supply(view, left),
    )


def _supply(view: StageView, left: Remaining) -> Supply:
    """The day by the shop's clock, and how many of each offer other runs and campaigns of the budget's period sent."""
    now = view.run.as_of.astimezone(ZoneInfo(view.settings.shop.time_zone))
    issued = issued_offers(view, view.declared_store, left.period, without_run=view.run.run_id)
    return Supply(now.date(), issued)


def select_again(view: StageView) -> Selected:
    """What the view's policy selects for the customers of its run, as known then; stores nothing.

    Thresholds by group and refusals for fairness are left out.
    """
    nobody = pa.table({"customer_id": pa.array([], pa.string()), "lifecycle_stage": pa.array([], pa.string())})
    return _without_thresholds(view, nobody, is_past=True)
