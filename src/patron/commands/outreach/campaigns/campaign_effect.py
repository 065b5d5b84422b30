"""The effect of a campaign: everybody assigned, treated against the holdout, raw and adjusted."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from patron.commands.outreach.campaigns.campaign_arms import HOLDOUT, TREATED
from patron.experiments import analyse, guard_rail, sample_ratio_mismatch
from patron.experiments.analysis import CUPED, RAW, EffectRow
from patron.experiments.confidence_sequences import reach_of_sequence
from patron.schema.errors import BadExperiment, NotEnoughData
from patron.schema.numbers import Numbers, float_column

GUARD_MARGIN = 0.1
"""By which share of the holdout's mean a guarded metric may be worse."""


@dataclass(frozen=True)
class EffectEstimate:
    """Net margin of the treated less that of the holdout, with its 95 % interval; cents per customer and in total."""

    method: str
    """raw, or cuped: adjusted for what was bought before the start."""
    effect_cents: float
    low_cents: float
    high_cents: float
    total_cents: float
    total_low_cents: float
    total_high_cents: float
    standard_error: float
    """Of the effect per customer."""
    variance_removed: float
    sequence_low_cents: float
    sequence_high_cents: float
    """Interval per customer for those who look before the end, or more than once: all looks hold together."""


@dataclass(frozen=True)
class GuardRailResult:
    """Whether a metric became worse than it may."""

    metric: str
    """orders, or refunds."""
    verdict: str
    """safe, harmed or unclear."""
    effect: float
    """Per customer: orders, or cents refunded."""
    low: float | None = None
    high: float | None = None
    """It is between them at 90 %: beyond each end at 5 %. None in results of an older Patron."""


@dataclass(frozen=True)
class ArmSummary:
    """What one arm did in the window; amounts in cents."""

    customers: int
    orders: int
    paid_cents: int
    discount_cents: int
    refunds: int
    refund_cents: int
    margin_cents: float
    """Net of refunds and discounts, before sending and other costs."""


def estimates(people: pa.Table) -> tuple[EffectEstimate, ...]:
    """The effect on `net_cents` by both methods; nothing without a holdout. `before_cents` is the covariate."""
    before = float_column(people, "before_cents")
    covariate = "before_cents" if before.size and before.min() < before.max() else None
    try:
        analysis = analyse(people, group="arm", outcome="net_cents", control=HOLDOUT, covariate=covariate)
    except (BadExperiment, NotEnoughData):
        return ()
    treated = int(np.sum(np.array(people["arm"].to_pylist()) == TREATED))
    return tuple(_estimate(row, treated, people.num_rows) for row in analysis if row.method in {RAW, CUPED})


def _estimate(row: EffectRow, treated: int, customers: int) -> EffectEstimate:
    reach = float(reach_of_sequence(np.array([float(customers)]), customers)[0]) * row.standard_error
    return EffectEstimate(
        row.method,
        row.effect,
        row.low,
        row.high,
        row.effect * treated,
        row.low * treated,
        row.high * treated,
        row.standard_error,
        row.variance_removed,
        row.effect - reach,
        row.effect + reach,
    )


def guard_rails(people: pa.Table) -> tuple[GuardRailResult, ...]:
    """Orders must not fall, and refunds not rise, by more than a tenth of the holdout's mean."""
    is_holdout = np.array([one == HOLDOUT for one in people["arm"].to_pylist()], dtype=np.bool_)
    results = []
    for metric, values in _guarded(people).items():
        mean = abs(float(values[is_holdout].mean())) if is_holdout.any() else 0.0
        if not mean:
            continue
        table = pa.table({"arm": people["arm"], "value": values})
        try:
            row = guard_rail(table, group="arm", outcome="value", control=HOLDOUT, margin=GUARD_MARGIN * mean).rows[0]
        except (BadExperiment, NotEnoughData):
            continue
        ends = (row.effect, row.low, row.high) if metric == "orders" else (-row.effect, -row.high, -row.low)
        results.append(GuardRailResult(metric, row.verdict, *ends))
    return tuple(results)


def _guarded(people: pa.Table) -> Mapping[str, Numbers]:
    return {"orders": float_column(people, "order_count"), "refunds": -float_column(people, "refund_cents")}


def sample_ratio(people: pa.Table, shares: set[float]) -> float | None:
    """p-value of the arms' sizes, if the draw is sound; None where versions had other shares, or without a holdout."""
    share = next(iter(shares))
    if len(shares) > 1 or not share or not people.num_rows:
        return None
    holdout = sum(one == HOLDOUT for one in people["arm"].to_pylist())
    counts = {TREATED: people.num_rows - holdout, HOLDOUT: holdout}
    return sample_ratio_mismatch(counts=counts, weights={TREATED: 1 - share, HOLDOUT: share}).p_value


def arm_summaries(people: pa.Table) -> dict[str, ArmSummary]:
    """What each arm did in the window."""
    arm = np.array(people["arm"].to_pylist(), dtype=np.str_)
    summaries = {}
    for name in (TREATED, HOLDOUT):
        of_arm = arm == name

        def total(column: str, which: np.ndarray = of_arm) -> float:
            return float(float_column(people, column)[which].sum())

        summaries[name] = ArmSummary(
            int(of_arm.sum()),
            int(total("order_count")),
            int(total("paid_cents")),
            int(total("discount_cents")),
            int(total("refund_count")),
            int(total("refund_cents")),
            total("margin_cents"),
        )
    return summaries
