"""From a comparison of groups to rows of `fairness`, each with a verdict by the thresholds of policy.toml."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

from patron.decide.group_comparison import GroupComparison, GroupMetric
from patron.schema.models.group_metrics import CALIBRATION_GAP, SELECTION_RATIO, TRUE_POSITIVE_RATE
from patron.schema.tables import (
    CHURN_DECISION,
    FAIR,
    LEFT_OUT,
    NO_MITIGATION,
    OFFERS_DECISION,
    REFUSE,
    UNTESTED,
    WARN,
    WITHOUT_GROUP,
)
from patron.storage.offers.fairness_policy import FairnessPolicy

TESTED = {CHURN_DECISION: (TRUE_POSITIVE_RATE, CALIBRATION_GAP), OFFERS_DECISION: (SELECTION_RATIO,)}
"""Metrics that have a threshold, by decision."""
SEVERITY = (UNTESTED, FAIR, WARN, REFUSE)


@dataclass(frozen=True)
class FairnessRow:
    """One row of `fairness`, but for the run."""

    decision: str
    mitigation: str
    trait: str
    group_name: str
    metric: str
    customer_count: int | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    others_value: float | None = None
    gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None
    verdict: str = UNTESTED

    def written(self, run_id: str) -> Mapping[str, object]:
        """The row as the table has it."""
        return {"run_id": run_id} | asdict(self)


def comparison_rows(
    comparison: GroupComparison, *, decision: str, mitigation: str, trait: str, fairness: FairnessPolicy
) -> Iterator[FairnessRow]:
    """Rows of one trait: every metric of every group, and how many customers are in none or in one that is left out."""
    for metric in comparison.metrics:
        gap = metric.gap
        yield FairnessRow(
            decision,
            mitigation,
            trait,
            metric.group,
            metric.metric,
            metric.customer_count,
            metric.value.value,
            metric.value.low,
            metric.value.high,
            metric.others_value,
            *((None, None, None) if gap is None else (gap.value, gap.low, gap.high)),
            verdict=verdict_of(metric, decision, fairness),
        )
    if mitigation == NO_MITIGATION:
        if comparison.left_out_count:
            yield FairnessRow(
                decision,
                mitigation,
                trait=trait,
                group_name="",
                metric=LEFT_OUT,
                customer_count=comparison.left_out_count,
            )
        yield FairnessRow(
            decision,
            mitigation,
            trait=trait,
            group_name="",
            metric=WITHOUT_GROUP,
            customer_count=comparison.without_group_count,
        )


def verdict_of(one: GroupMetric, decision: str, fairness: FairnessPolicy) -> str:
    """Warn: beyond the policy's threshold and noise. Refuse: beyond its second one, and surely beyond the first."""
    if one.metric not in TESTED[decision]:
        return UNTESTED
    if one.metric == SELECTION_RATIO:
        if one.value.value <= fairness.refuse_ratio and one.value.high <= fairness.warn_ratio:
            return REFUSE
        return WARN if one.value.value <= fairness.warn_ratio and one.value.high < 1 else FAIR
    if one.gap is None:
        return UNTESTED
    is_calibration = one.metric == CALIBRATION_GAP
    warn = fairness.warn_calibration_gap if is_calibration else fairness.warn_true_positive_gap
    refuse = fairness.refuse_calibration_gap if is_calibration else fairness.refuse_true_positive_gap
    size, nearest = abs(one.gap.value), max(one.gap.low, -one.gap.high, 0.0)
    if size >= refuse and nearest >= warn:
        return REFUSE
    return WARN if size >= warn and nearest > 0 else FAIR


def mitigated_verdict(before: FairnessRow, after: FairnessRow, fairness: FairnessPolicy, *, has_threshold: bool) -> str:
    """Verdict with thresholds by group, of a row before and after them.

    A refusal is lifted where the gap is below the threshold to warn; that noise could explain what is left is not
    enough. Calibration, which no threshold changes, then only warns, as nobody is selected by the bare forecast. A
    group without a threshold keeps its verdict, or gets a worse one.
    """
    if after.metric == CALIBRATION_GAP:
        return WARN if has_threshold and before.verdict == REFUSE else before.verdict
    is_closed = after.gap is not None and abs(after.gap) < fairness.warn_true_positive_gap
    is_lifted = before.verdict != REFUSE or is_closed
    return after.verdict if has_threshold and is_lifted else worst((before, after))


def worst(rows: Iterable[FairnessRow]) -> str:
    """The most severe verdict; untested of no rows."""
    return max((row.verdict for row in rows), key=SEVERITY.index, default=UNTESTED)
