"""Whether customers are treated alike whatever their sensitive traits: groups only, never a customer."""

from dataclasses import dataclass

from patron.schema.models.group_metrics import TRUE_POSITIVE_RATE
from patron.schema.models.questions import CHURN
from patron.schema.models.standing_verdicts import standing_verdicts
from patron.schema.tables import (
    CHURN_DECISION,
    CUSTOMERS_ADDED,
    CUSTOMERS_REMOVED,
    EXPECTED_GAIN_CHANGE,
    GROUP_THRESHOLDS,
    LEFT_OUT,
    NO_MITIGATION,
    OFFERS_DECISION,
    REFUSE,
    THRESHOLD,
    WARN,
    WITHOUT_GROUP,
)
from patron.storage.models.trainings import read_trainings
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot

OF_GROUP = frozenset({THRESHOLD, LEFT_OUT, WITHOUT_GROUP, CUSTOMERS_ADDED, CUSTOMERS_REMOVED, EXPECTED_GAIN_CHANGE})
"""Metrics of `fairness` that compare no groups."""
PAIR = 2


@dataclass(frozen=True)
class GroupResult:
    """One metric of one group, next to that of all other customers of a known group."""

    decision: str
    """churn: forecast as likely to leave, at past cutoffs; offers: has an offer, of those who could get one."""
    mitigation: str
    """none: one threshold for all; group_thresholds: each group's own."""
    trait: str
    group_name: str
    metric: str
    customer_count: int
    value: float
    low: float
    high: float
    others_value: float
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    verdict: str
    """untested, fair, warn or refuse."""


@dataclass(frozen=True)
class GroupThreshold:
    """Churn probability from which customers of a group are at risk."""

    group_name: str
    probability: float


@dataclass(frozen=True)
class Mitigation:
    """What thresholds of each group's own change."""

    trait: str
    thresholds: tuple[GroupThreshold, ...]
    added_count: int
    """Customers who are considered for an offer because of them."""
    removed_count: int
    """Customers who are not any more."""
    gain_change_cents: float | None
    """Change of the expected gain of all offers; None where nobody changed places."""


@dataclass(frozen=True)
class FairnessResults:
    """Groups of customers compared by each declared sensitive trait."""

    traits: tuple[str, ...]
    results: tuple[GroupResult, ...]
    left_out: tuple[tuple[str, str, int], ...]
    """(decision, trait, customers) where some groups cannot be compared, and how many customers these have."""
    unknown_traits: tuple[str, ...]
    """Traits that nobody has declared yet."""
    mitigation: Mitigation | None
    is_refused: bool
    """Whether the run decided no offers because of it."""
    is_pinned: bool
    """Whether a pinned model forecasts churn: past forecasts, and so these results, are the run's own model's."""

    @property
    def findings(self) -> tuple[GroupResult, ...]:
        """What warns or refuses, of two groups the one that is worse off; with group thresholds, what is left then."""
        groups = {trait: {row.group_name for row in self.results if row.trait == trait} for trait in self.traits}
        return tuple(
            row
            for row in standing_verdicts(self.results)
            if row.verdict in {WARN, REFUSE} and (len(groups[row.trait]) != PAIR or row.gap is None or row.gap < 0)
        )

    @property
    def refused_decisions(self) -> tuple[str, ...]:
        """Which of churn and offers keeps the run from deciding offers."""
        refused = {row.decision for row in standing_verdicts(self.results) if row.verdict == REFUSE}
        return tuple(one for one in (CHURN_DECISION, OFFERS_DECISION) if self.is_refused and one in refused)

    @property
    def is_mitigation_measured(self) -> bool:
        """Whether it is known what share of those who left thresholds by group would have forecast.

        True too where too few left in every group of their trait, as no earlier training could help.
        """
        return self._rated_groups(NO_MITIGATION) <= self._rated_groups(GROUP_THRESHOLDS)

    @property
    def unmeasurable_groups(self) -> tuple[str, ...]:
        """Groups of the trait that thresholds follow for which too few customers left to measure them."""
        if self.mitigation is None:
            return ()
        compared = self.table(CHURN_DECISION, NO_MITIGATION, self.mitigation.trait)
        return tuple(sorted(compared.keys() - self._rated_groups(NO_MITIGATION)))

    def _rated_groups(self, mitigation: str) -> frozenset[str]:
        """Groups of the trait that thresholds follow, with a share of those who left."""
        if self.mitigation is None:
            return frozenset()
        compared = self.table(CHURN_DECISION, mitigation, self.mitigation.trait)
        return frozenset(group for group, metrics in compared.items() if TRUE_POSITIVE_RATE in metrics)

    def table(self, decision: str, mitigation: str, trait: str) -> dict[str, dict[str, GroupResult]]:
        """Results of one comparison: by group, then by metric."""
        rows: dict[str, dict[str, GroupResult]] = {}
        for row in self.results:
            if (row.decision, row.mitigation, row.trait) == (decision, mitigation, trait):
                rows.setdefault(row.group_name, {})[row.metric] = row
        return rows


def fairness(view: Snapshot) -> FairnessResults | None:
    """What the run found; None where no sensitive trait was declared."""
    run = f"run_id = '{view.run.run_id}'"
    rows = records(
        view.query(f"""
select decision, mitigation, trait, group_name, metric, customer_count, value, low, high, others_value, gap, gap_low,
  gap_high, verdict
from fairness where {run} order by decision, mitigation desc, trait, group_name, metric""")
    )
    if not rows:
        return None
    traits = tuple(sorted({row["trait"] for row in rows}))
    results = tuple(GroupResult(**row) for row in rows if row["metric"] not in OF_GROUP)
    small = [row for row in rows if row["metric"] == LEFT_OUT]
    named = {row["trait"] for row in rows if row["group_name"]} | {row["trait"] for row in small}
    refused = view.query(f"select 1 as one from decisions where {run} and reason = 'unfair' limit 1")
    training = read_trainings(view, view.run.run_id).get(CHURN.name)
    champion = training.model_version if training else f"{CHURN.name}/{view.run.run_id}"
    pinned = view.query(f"""
select 1 as one from scores where {run} and question = '{CHURN.name}' and model_version <> '{champion}' limit 1""")
    return FairnessResults(
        traits,
        results,
        left_out=tuple((row["decision"], row["trait"], row["customer_count"]) for row in small),
        unknown_traits=tuple(trait for trait in traits if trait not in named),
        mitigation=_mitigation(rows),
        is_refused=refused.num_rows > 0,
        is_pinned=pinned.num_rows > 0,
    )


def _mitigation(rows: list[dict]) -> Mitigation | None:
    fitted = [row for row in rows if row["metric"] == THRESHOLD]
    if not fitted:
        return None
    thresholds = tuple(GroupThreshold(row["group_name"], row["value"]) for row in fitted)
    counts = {row["metric"]: row["customer_count"] for row in rows}
    change = next((row["value"] for row in rows if row["metric"] == EXPECTED_GAIN_CHANGE), None)
    added, removed = (counts.get(name, 0) for name in (CUSTOMERS_ADDED, CUSTOMERS_REMOVED))
    return Mitigation(
        fitted[0]["trait"], thresholds, added_count=added, removed_count=removed, gain_change_cents=change
    )
