"""Whether customers who leave are forecast as likely to leave alike in every group, at past cutoffs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.decide.fair_verdicts import TESTED, FairnessRow, comparison_rows, mitigated_verdict, worst
from patron.decide.group_comparison import SelectedRows, compare_groups
from patron.decide.group_thresholds import fit_thresholds, is_recognised
from patron.decide.trait_groups import Groups, read_groups
from patron.schema.models.group_metrics import TRUE_POSITIVE_RATE
from patron.schema.models.label_windows import label_windows
from patron.schema.models.questions import CHURN, label_query
from patron.schema.models.standing_verdicts import standing_verdicts
from patron.schema.numbers import Numbers, float_column
from patron.schema.table_definition import TEXT, TIME
from patron.schema.tables import (
    CHURN_DECISION,
    GROUP_THRESHOLDS,
    NO_MITIGATION,
    REFUSE,
    THRESHOLD,
    WARN,
)
from patron.storage.models.trainings import of_known_customers, read_trainings, training_run_ids
from patron.storage.offers.fairness_policy import FairnessPolicy
from patron.storage.offers.policy import Policy
from patron.storage.runs.stage_view import StageView

OUTCOME = np.timedelta64(CHURN.horizon_days, "D")
"""Time from a cutoff until it is known who left."""
EARLIER = timedelta(days=365)
"""How long ago an earlier training may be for thresholds to be measured by its forecasts."""
APART = timedelta(days=30)
"""Between the cutoffs of earlier trainings, which bounds how many there are: a run may train every night."""


@dataclass(frozen=True, eq=False)
class PastChurn:
    """What champions forecast at past cutoffs, and what happened; one entry per customer and cutoff."""

    customers: npt.NDArray[np.str_]
    cutoffs: npt.NDArray[np.datetime64]
    forecast: Numbers
    happened: Numbers
    is_latest: npt.NDArray[np.bool_]
    """Whether the champion that scores now forecast it, and not that of an earlier training."""

    def where(self, which: npt.NDArray[np.bool_]) -> Self:
        """Some of the entries."""
        return type(self)(
            self.customers[which],
            self.cutoffs[which],
            self.forecast[which],
            self.happened[which],
            self.is_latest[which],
        )

    def groups(self, of_customer: Mapping[str, str]) -> npt.NDArray[np.str_]:
        """Group of each entry, '' where it is not known."""
        return np.array([of_customer.get(customer, "") for customer in self.customers.tolist()], dtype=np.str_)


@dataclass(frozen=True)
class ChurnFairness:
    """What the comparison of groups found, and what is done about it."""

    rows: tuple[FairnessRow, ...] = ()
    groups: Groups = field(default_factory=dict)
    trait: str = ""
    """The trait that thresholds follow; empty without any."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Churn probability from which a customer of a group is at risk; groups that are not there have the policy's."""
    is_refused: bool = False


def audit_churn(view: StageView) -> ChurnFairness:
    """Compare groups by each declared trait, and fit thresholds where the policy asks for them."""
    traits = view.policy.fairness.sensitive_traits
    if not traits:
        return ChurnFairness()
    groups = read_groups(view, traits)
    rng = np.random.default_rng(view.run.child_seed("fairness of churn"))
    return judge_churn(read_past_churn(view), groups, view.policy, rng=rng, is_pinned=_is_pinned(view))


def _is_pinned(view: StageView) -> bool:
    """Whether a pinned model forecasts churn, which past forecasts, the champion's, say nothing about."""
    training = read_trainings(view, view.run.run_id).get(CHURN.name)
    champion = training.model_version if training else f"{CHURN.name}/{view.run.run_id}"
    sql = f"""
select 1 as one from this_scores
where question = '{CHURN.name}' and model_version <> '{champion}' limit 1"""
    return view.query(sql).num_rows > 0


def read_past_churn(view: StageView) -> PastChurn:
    """Forecasts of the champion's backtest, and of earlier trainings', with the outcomes, in order of cutoff."""
    cutoffs = _past_cutoffs(view)
    forecasts = view.query(
        f"""
select p.customer_id, p.as_of, p.value, c.is_latest from past_forecasts p
join past_cutoffs c on c.run_id = p.run_id and c.as_of = p.as_of
where p.question = '{CHURN.name}' and p.{of_known_customers(view.run.run_id)} order by p.as_of, p.customer_id""",
        past_cutoffs=cutoffs,
    )
    windows = label_windows(forecasts.select(["customer_id", "as_of"]), CHURN.horizon_days)
    places = pa.array(np.arange(forecasts.num_rows), pa.int64())
    sql = f"""
select p.place, l.label from places p join ({label_query(CHURN)}) l
  on l.customer_id = p.customer_id and l.as_of = p.as_of order by p.place"""
    labels = view.query(sql, label_windows=windows, places=windows.append_column("place", places))
    return PastChurn(
        np.array(forecasts["customer_id"].to_pylist(), dtype=np.str_),
        forecasts["as_of"].to_numpy(),
        forecast=float_column(forecasts, "value"),
        happened=float_column(labels, "label"),
        is_latest=np.array(forecasts["is_latest"].to_pylist(), dtype=np.bool_),
    )


def _past_cutoffs(view: StageView) -> pa.Table:
    """Columns run_id, as_of and is_latest: the champion's cutoffs, and before them some of earlier trainings.

    A cutoff that several trainings have is the newest's.
    """
    training = read_trainings(view, view.run.run_id).get(CHURN.name)
    latest = training.trained_run_id if training else view.run.run_id
    runs = [latest, *training_run_ids(view, CHURN.name, since=view.run.as_of - EARLIER)]
    trained = pa.table({"run_id": pa.array(runs, TEXT), "place": pa.array(range(len(runs)), pa.int64())})
    sql = f"""
select p.as_of, p.run_id, min(t.place) as place from past_forecasts p join training_runs t on t.run_id = p.run_id
where p.question = '{CHURN.name}' group by p.as_of, p.run_id order by p.as_of desc, place"""
    rows = view.query(sql, training_runs=trained).to_pylist()
    chosen = [row | {"is_latest": True} for row in rows if row["run_id"] == latest]
    for row in rows:
        if chosen and row["as_of"] <= chosen[-1]["as_of"] - APART:
            chosen.append(row | {"is_latest": False})
    schema = pa.schema([("run_id", TEXT), ("as_of", TIME), ("is_latest", pa.bool_())])
    return pa.Table.from_pylist(chosen, schema=schema)


def judge_churn(
    past: PastChurn, groups: Groups, policy: Policy, *, rng: np.random.Generator, is_pinned: bool = False
) -> ChurnFairness:
    """Compare groups with one threshold for all and, where the policy asks for it, with each group's own.

    Thresholds follow the first trait whose groups differ beyond the policy and noise; a pinned model gets none. Both
    comparisons are of the latest training's forecasts: the second by thresholds learned from earlier ones, whose
    outcomes were known there. A verdict that could not be tested again stands. Where no group has a threshold now and
    at each of the latest cutoffs, nothing is: fewer rows than without thresholds could lift a refusal by noise alone.
    """
    fairness, threshold = policy.fairness, policy.at_risk.at_risk_from
    latest = past.where(past.is_latest)
    rows = tuple(_compare(latest, groups, latest.forecast >= threshold, NO_MITIGATION, policy, rng=rng))
    unfair = {row.trait for row in rows if row.verdict in (WARN, REFUSE)}
    trait = next((one for one in fairness.sensitive_traits if one in unfair), "")
    if fairness.mitigation != GROUP_THRESHOLDS or not trait or is_pinned:
        return ChurnFairness(rows, groups, is_refused=worst(rows) == REFUSE)
    thresholds = _learn(latest, groups[trait], policy)
    is_selected, learned = _select_by_earlier(past, groups[trait], policy)
    with_threshold = learned.intersection(thresholds)
    compared = _compare(latest, groups, is_selected, GROUP_THRESHOLDS, policy, rng=rng) if with_threshold else ()
    after = tuple(_judge_again(rows, compared, trait, with_threshold, fairness))
    names = latest.groups(groups[trait])
    counts = {group: len(np.unique(latest.customers[names == group])) for group in thresholds}
    fitted = (
        FairnessRow(
            CHURN_DECISION,
            GROUP_THRESHOLDS,
            trait=trait,
            group_name=group,
            metric=THRESHOLD,
            customer_count=counts[group],
            value=value,
            others_value=threshold,
        )
        for group, value in thresholds.items()
    )
    is_refused = worst(standing_verdicts((*rows, *after))) == REFUSE
    return ChurnFairness((*rows, *after, *fitted), groups, trait, thresholds, is_refused=is_refused)


def _learn(past: PastChurn, of_customer: Mapping[str, str], policy: Policy) -> dict[str, float]:
    names, fewest = past.groups(of_customer), policy.fairness.fewest_customers
    threshold = policy.at_risk.at_risk_from
    return fit_thresholds(past.forecast, past.happened, names, threshold=threshold, fewest=fewest)


def _judge_again(
    before: Iterable[FairnessRow],
    after: Iterable[FairnessRow],
    trait: str,
    with_threshold: frozenset[str],
    fairness: FairnessPolicy,
) -> Iterator[FairnessRow]:
    """Rows with thresholds by group, with verdicts that consider those without.

    Nothing of a group of whom too few left, as nobody knows what thresholds do for it.
    """
    rows, rows_before = tuple(after), {(row.trait, row.group_name, row.metric): row for row in before}
    rated = {(row.trait, row.group_name) for row in rows if row.metric == TRUE_POSITIVE_RATE}
    for row in rows:
        if (row.trait, row.group_name) in rated:
            has_threshold = row.trait == trait and row.group_name in with_threshold
            previous = rows_before[row.trait, row.group_name, row.metric]
            yield replace(row, verdict=mitigated_verdict(previous, row, fairness, has_threshold=has_threshold))


def _select_by_earlier(
    past: PastChurn, of_customer: Mapping[str, str], policy: Policy
) -> tuple[npt.NDArray[np.bool_], frozenset[str]]:
    """Who of the latest forecasts is selected by thresholds learned from outcomes known at each cutoff.

    With the groups that have a threshold at all of them; they learn from up to as many cutoffs as are used now.
    """
    latest = past.where(past.is_latest)
    names, is_selected = latest.groups(of_customer), np.zeros(len(latest.forecast), dtype=np.bool_)
    cutoffs, latest_cutoffs = np.unique(past.cutoffs), np.unique(latest.cutoffs)
    with_threshold = frozenset(names.tolist())
    for cutoff in latest_cutoffs:
        known = cutoffs[cutoffs <= cutoff - OUTCOME][-len(latest_cutoffs) :]
        learned = _learn(past.where(np.isin(past.cutoffs, known)), of_customer, policy)
        with_threshold = with_threshold.intersection(learned)
        here = latest.cutoffs == cutoff
        is_selected[here] = is_recognised(
            latest.forecast[here], names[here].tolist(), learned, policy.at_risk.at_risk_from
        )
    return is_selected, with_threshold


def _compare(
    past: PastChurn,
    groups: Groups,
    is_selected: npt.NDArray[np.bool_],
    mitigation: str,
    policy: Policy,
    *,
    rng: np.random.Generator,
) -> Iterator[FairnessRow]:
    rows = SelectedRows(past.customers, is_selected, past.forecast, past.happened)
    for trait, of_customer in groups.items():
        comparison = compare_groups(
            rows,
            past.groups(of_customer),
            fewest=policy.fairness.fewest_customers,
            rng=rng,
            tests=len(groups) * len(TESTED[CHURN_DECISION]),
        )
        yield from comparison_rows(
            comparison, decision=CHURN_DECISION, mitigation=mitigation, trait=trait, fairness=policy.fairness
        )


def moved_stages(view: StageView, churn: ChurnFairness) -> pa.Table:
    """Customers whose lifecycle stage differs by their group's threshold: customer_id and the stage by it."""
    of_group = churn.groups.get(churn.trait, {})
    sql = f"""
select g.customer_id, g.lifecycle_stage, s.value from segments g
join scores s on s.run_id = g.run_id and s.customer_id = g.customer_id and s.question = '{CHURN.name}'
where g.run_id = '{view.run.run_id}' and g.is_order_due and g.stage_basis = 'forecast' order by g.customer_id"""
    moved: dict[str, str] = {}
    at_risk = view.policy.at_risk
    for row in view.query(sql).to_pylist() if churn.thresholds else ():
        threshold = churn.thresholds.get(of_group.get(row["customer_id"], ""), at_risk.at_risk_from)
        is_now, was = row["value"] >= threshold, row["value"] >= at_risk.at_risk_from
        if is_now != was:
            moved[row["customer_id"]] = "at_risk" if is_now else "active"
    columns = {"customer_id": pa.array(list(moved), TEXT), "lifecycle_stage": pa.array(list(moved.values()), TEXT)}
    return pa.table(columns)
