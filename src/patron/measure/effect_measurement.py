"""Measure the effects of earlier offers, per offer and stratum and over all, with intervals."""

from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from patron.measure.assignment_checks import assignment_rows
from patron.measure.decision_outcomes import (
    PROPENSITIES_QUERY,
    DecisionOutcomes,
    as_decision_outcomes,
    offering_runs_query,
    outcomes_query,
    window_share,
    windows,
)
from patron.measure.empirical_bayes import shrunk_effects
from patron.measure.offer_effects import ALL, ANY, REACH_95, OfferEffect, offer_effects
from patron.schema.outreach.message_states import MAY_HAVE_ARRIVED
from patron.schema.table_definition import TEXT, TIME
from patron.schema.tables import ASSIGNMENT_CHECKS, EFFECTS
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.runs.stage_view import StageView

ORDERS_OF_DECISION = (
    *("customer_id", "action", "reason", "purchase", "has_forecast", "window_days", "order_count", "used_orders"),
)


SECONDS_A_DAY = 86_400
LEAST_SENT_SHARE = 0.5
"""Of whom a campaign must have sent each offer of a run: what was sent to a few says little of what was decided."""


@dataclass(frozen=True, eq=False)
class MeasuredOutcomes:
    """Decisions whose window is over, and how they are counted."""

    outcomes: DecisionOutcomes
    orders: pa.Table
    """Of each decision: what was decided and forecast, and the orders of its window; columns ORDERS_OF_DECISION."""
    window_share: float
    is_placebo: bool
    decided_from: datetime
    decided_until: datetime


def measure_effects(view: StageView) -> pa.Table:
    """Write `effects` and `assignment_checks` of earlier decisions whose window is over; return the effects."""
    measured = measured_outcomes(view)
    rows, checks = EFFECTS.empty(), ASSIGNMENT_CHECKS.empty()
    if measured is not None:
        outcomes, run_id = measured.outcomes, {"run_id": view.run.run_id}
        of_all = [field_.name for field_ in fields(measured) if field_.name not in {"outcomes", "orders"}]
        same = {name: getattr(measured, name) for name in of_all} | run_id
        rows = pa.Table.from_pylist([row | same for row in effect_rows(outcomes)], schema=EFFECTS.schema())
        check_rows = [row | run_id for row in assignment_rows(outcomes, holdout_share=view.policy.holdout.share)]
        checks = pa.Table.from_pylist(check_rows, schema=ASSIGNMENT_CHECKS.schema())
    view.write(EFFECTS.name, rows)
    view.write(ASSIGNMENT_CHECKS.name, checks)
    return rows


def measured_outcomes(view: StageView) -> MeasuredOutcomes | None:
    """Outcomes of every earlier decision whose window is over, read once a view; None without any.

    Once offers were really sent, only the runs that sent them count; until then they are a placebo.
    """
    return view.once("measured outcomes", lambda: _measured_outcomes(view))


def _measured_outcomes(view: StageView) -> MeasuredOutcomes | None:
    policy, as_of = view.policy.measure, view.run.as_of
    offering_runs = view.query(offering_runs_query(as_of)).to_pylist()
    delivered = {row["run_id"] for row in offering_runs if row["is_delivered"]} | _sent_by_campaigns(view)
    is_placebo = delivered.isdisjoint(row["run_id"] for row in offering_runs)
    runs = [(row["run_id"], row["decided_at"]) for row in offering_runs if row["run_id"] in delivered or is_placebo]
    run_windows = windows(runs, as_of, window_days=policy.window_days, history_days=policy.history_days)
    cutoffs = run_windows.filter(run_windows["is_measured"])["decided_at"].to_pylist()
    if not cutoffs:
        return None
    order_costs = {
        offer.id: (
            float(offer.contact_cost_cents),
            float(offer.cost_per_order_cents),
            offer.points_share * offer.redeemed_share,
        )
        for offer in view.policy.offers
    }
    rows = view.query(outcomes_query(view.settings.shop.margin_share, view.policy.offers), windows=run_windows)
    propensities = view.query(PROPENSITIES_QUERY, windows=run_windows)
    outcomes = as_decision_outcomes(rows, propensities, order_costs)
    share = window_share(run_windows, window_days=policy.window_days)
    return MeasuredOutcomes(
        outcomes,
        rows.select(ORDERS_OF_DECISION),
        share,
        is_placebo=is_placebo,
        decided_from=min(cutoffs),
        decided_until=max(cutoffs),
    )


def _sent_by_campaigns(view: StageView) -> set[str]:
    """Runs whose offers campaigns sent soon, each to at least half of whom it was decided for.

    Their decisions count as they were drawn, whoever was not reached: so the probabilities stay right.
    """
    campaigns = dict(view.deliveries.campaigns)
    table = MESSAGES.c
    chosen = sa.select(table.campaign, table.customer_id, table.offer, table.sent_at)
    of_runs = (table.campaign.in_(campaigns.values()), table.state.in_(MAY_HAVE_ARRIVED), table.offer != "")
    with view.declared_store.begin() as connection:
        rows = connection.execute(chosen.where(*of_runs)).mappings().all()
    run_of = {campaign: run_id for run_id, campaign in campaigns.items()}
    sent = {"run_id": [run_of[row["campaign"]] for row in rows], "customer_id": [row["customer_id"] for row in rows]}
    sent |= {"action": [row["offer"] for row in rows], "sent_at": [utc(row["sent_at"]) for row in rows]}
    seconds = view.policy.channel.confirm_within_days * SECONDS_A_DAY
    types = {"run_id": TEXT, "customer_id": TEXT, "action": TEXT, "sent_at": TIME}
    shares = view.query(
        f"""
select d.run_id, count(s.customer_id) * 1.0 / count(*) as share from decisions d
left join sent s on s.run_id = d.run_id and s.customer_id = d.customer_id and s.action = d.action
  and seconds_of(s.sent_at) < seconds_of(d.as_of) + {seconds}
where d.run_id in (select run_id from sent) and d.action <> 'none' group by d.run_id, d.action order by d.run_id""",
        sent=pa.table({name: pa.array(values, types[name]) for name, values in sent.items()}),
    ).to_pylist()
    few = {row["run_id"] for row in shares if row["share"] < LEAST_SENT_SHARE}
    return {row["run_id"] for row in shares} - few


def effect_rows(outcomes: DecisionOutcomes) -> list[dict[str, str | int | float]]:
    """Rows of `effects`: any offer and each offer, in all and in each stratum.

    `effect_cents`, which decides, is shrunk for an offer in a stratum; cells that were never measured have a row too.
    """
    estimates = {(effect.offer, effect.stratum): effect for effect in offer_effects(outcomes)}
    parts = [estimate for estimate in estimates.values() if estimate.offer != ANY and estimate.stratum != ALL]
    offers = [offer for offer, stratum in estimates if offer != ANY and stratum == ALL]
    cells = [(offer, stratum) for offer in offers for stratum in sorted(set(outcomes.stratum.tolist()))]
    shrunk = [
        _row(effect.offer, effect.stratum, effect.effect, effect.standard_error)
        for effect in shrunk_effects(parts, cells)
    ]
    whole = [estimate for estimate in estimates.values() if estimate.offer == ANY or estimate.stratum == ALL]
    rows = [_plain_row(one) for one in whole] + shrunk
    return [row | _measured(estimates.get((str(row["offer"]), str(row["stratum"])))) for row in rows]


def _plain_row(one: OfferEffect) -> dict[str, str | int | float]:
    ends = {"low": one.adjusted.low, "high": one.adjusted.high}
    return _row(one.offer, one.stratum, one.adjusted.value, one.standard_error) | ends


def _row(offer: str, stratum: str, effect: float, error: float) -> dict[str, str | int | float]:
    reach = REACH_95 * error
    numbers = {"effect_cents": effect, "low": effect - reach, "high": effect + reach, "standard_error": error}
    if not np.isfinite(list(numbers.values())).all():
        raise ValueError(f"effect of {offer} in {stratum} is not finite: {numbers}")
    return {"offer": offer, "stratum": stratum, **numbers}


def _measured(one: OfferEffect | None) -> dict[str, int | float]:
    """What was measured, before it was shrunk; nothing but zero counts where nobody got the offer."""
    if one is None:
        return {"treated_count": 0, "control_count": 0}
    return {
        "treated_count": one.treated_count,
        "control_count": one.control_count,
        "raw_cents": one.raw.value,
        "raw_low": one.raw.low,
        "raw_high": one.raw.high,
        "adjusted_cents": one.adjusted.value,
        "adjusted_low": one.adjusted.low,
        "adjusted_high": one.adjusted.high,
        "sequence_low": one.sequence.low,
        "sequence_high": one.sequence.high,
        "cost_cents": one.cost_cents,
        "net_cents": one.net_cents,
    }
