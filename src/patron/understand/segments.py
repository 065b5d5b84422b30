"""Segments of a run: RFM scores, persona and lifecycle stage of every customer at the run's cutoff.

The stage follows from the run's churn forecast, so that segments are written after it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.schema.models.questions import CHURN
from patron.schema.numbers import float_column
from patron.schema.table_definition import INT
from patron.schema.tables import PERSONA_TRAITS
from patron.storage.engine import timestamp
from patron.storage.models.missing_forecasts import is_answered
from patron.storage.runs.stage_view import StageView
from patron.understand.contract_holders import contract_holders
from patron.understand.lifecycle_stages import ChurnRisk, OrderRhythm, is_order_due, lifecycle_stages
from patron.understand.persona_descriptions import Description, describe
from patron.understand.persona_traits import NEEDED as PERSONA_FEATURES
from patron.understand.personas import Personas, find_personas
from patron.understand.rfm_scores import rfm_scores

NEEDED = sorted(
    {
        *PERSONA_FEATURES,
        "order_count_lifetime",
        "paid_cents_lifetime",
        "days_from_first_to_last_order",
        "order_day_count_lifetime",
        "days_between_last_two_orders",
    }
)
MEANS = ("paid_cents_365_days", "order_count_365_days", "days_since_last_order")


def build_segments(view: StageView) -> None:
    """Write segments and personas from the features at the run's own cutoff, and its churn forecast."""
    run = view.run
    features = view.query(
        f"select customer_id, as_of, {', '.join(NEEDED)} from features"
        f" where run_id = '{run.run_id}' and as_of = {timestamp(run.as_of)} order by customer_id"
    )
    personas = find_personas(features, run.child_seed("personas"))
    risk, has_contract = read_churn_risk(view, features), contract_holders(view, features)
    view.write("segments", segment_rows(run.run_id, features, personas, risk, has_contract))
    descriptions = describe(personas)
    view.write("personas", persona_rows(run.run_id, features, personas, descriptions))
    view.write("persona_traits", trait_rows(run.run_id, descriptions))


def read_churn_risk(view: StageView, features: pa.Table) -> ChurnRisk | None:
    """Churn probability of each row's customer in this run; None where the run could not forecast churn."""
    if not is_answered(view, CHURN):
        return None
    sql = f"""
select c.place, s.value from customers_in_order c left join (
  select customer_id, value from this_scores where question = '{CHURN.name}'
) s on s.customer_id = c.customer_id order by c.place"""
    places = pa.array(np.arange(features.num_rows))
    customers = pa.table({"customer_id": features["customer_id"], "place": places})
    probability = float_column(view.query(sql, customers_in_order=customers), "value", np.nan)
    at_risk = view.policy.at_risk
    return ChurnRisk(probability, at_risk.at_risk_from, at_risk.lapsed_from)


def segment_rows(
    run_id: str,
    features: pa.Table,
    personas: Personas,
    risk: ChurnRisk | None,
    has_contract: npt.NDArray[np.bool_],
) -> pa.Table:
    """One row per customer."""
    rhythm = OrderRhythm.of(features)
    shop_pace = rhythm.shop_pace_days()
    stages = lifecycle_stages(rhythm, shop_pace, risk, has_contract)
    is_due = is_order_due(rhythm, shop_pace) & ~has_contract
    is_forecast = np.zeros(features.num_rows, dtype=bool) if risk is None else np.isfinite(risk.probability)
    scores = {name: pa.array(values, INT) for name, values in rfm_scores(features).items()}
    return pa.table(
        {
            "run_id": pa.repeat(run_id, features.num_rows),
            "customer_id": features["customer_id"],
            "as_of": features["as_of"],
            **scores,
            "persona_id": pa.array(personas.ids, INT),
            "lifecycle_stage": pa.array(stages, pa.string()),
            "stage_basis": pa.array(np.where(is_forecast, "forecast", "rhythm").tolist(), pa.string()),
            "is_order_due": pa.array(is_due),
        }
    )


def persona_rows(run_id: str, features: pa.Table, personas: Personas, descriptions: Sequence[Description]) -> pa.Table:
    """One row per persona with what its customers do on average."""
    members = [personas.ids == place for place in range(len(descriptions))]
    means = {name: [float(features[name].to_numpy()[group].mean()) for group in members] for name in MEANS}
    return pa.table(
        {
            "run_id": pa.array([run_id] * len(members), pa.string()),
            "persona_id": pa.array(range(len(members)), INT),
            "name_code": pa.array([description.name_code for description in descriptions], pa.string()),
            "customer_count": pa.array([int(np.sum(group)) for group in members], INT),
            **{name: pa.array(values, pa.float64()) for name, values in means.items()},
            "stability": pa.array(personas.stabilities, pa.float64()),
            "overall_stability": pa.array([personas.overall_stability] * len(members), pa.float64()),
        }
    )


def trait_rows(run_id: str, descriptions: Sequence[Description]) -> pa.Table:
    """One row per fact about a persona, the most telling first."""
    rows = [
        {
            "run_id": run_id,
            "persona_id": place,
            "rank": rank,
            "trait": fact.trait,
            "level": fact.level,
            "unit": fact.unit,
            "persona_value": fact.value,
            "shop_value": fact.shop_value,
            "effect": fact.effect,
        }
        for place, description in enumerate(descriptions)
        for rank, fact in enumerate(description.facts, start=1)
    ]
    return pa.Table.from_pylist(rows, PERSONA_TRAITS.schema())
