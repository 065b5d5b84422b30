"""Whether an unfair shift is found and mitigated, and a fair shop raises nothing, in the simulated shop.

Usage: python benchmarks/predict/fairness.py [SHOPS] [CUSTOMERS]. A fifth of the people are in group b of a trait that
only the vault holds. In the fair shop the groups do not differ; each shop is compared by the trait, and by DRAWS others
drawn at random, which are as fair. In the unfair one those of group b who have left go on visiting and opening
messages, so that they look as if they were there and are not recognised. The shop's numbers (orders rare, visits
frequent) were chosen on seed 0 so that visits matter; SHOPS are the seeds after it. Forecasts are the trees', fitted
as in a run, thresholds as `policy.toml` comes. Printed: alarms of the fair shops; the gap between the shares of the
leaving customers who are recognised, by one threshold (the baseline) and by each group's own, at past cutoffs and in
the 90 days that follow, which nobody has seen; and how many customers change places. At past cutoffs thresholds are
learned from outcomes known there, of customers whom a training 90 days before had forecast.
"""

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from planted_reasons import customers_by_user_id

from patron import decide, predict, understand
from patron.commands.data.simulated_loop import ingest_events, write_rules
from patron.decide.fair_churn import ChurnFairness, PastChurn, audit_churn, judge_churn, read_past_churn
from patron.decide.fair_verdicts import FairnessRow
from patron.decide.group_comparison import SelectedRows, compare_groups
from patron.decide.group_thresholds import is_recognised
from patron.predict import scoring
from patron.predict.baselines import Mean
from patron.predict.predict_stage import training_rows
from patron.predict.probability_learners import BoostedProbability
from patron.run import build_run_cutoffs, stage_view
from patron.schema.models.group_metrics import TRUE_POSITIVE_RATE
from patron.schema.models.questions import CHURN
from patron.schema.tables import GROUP_THRESHOLDS, NO_MITIGATION, REFUSE, WARN
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP, SimulatorSettings
from patron.storage.offers.policy import Policy
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.storage.workspace.workspace_files import POLICY_FILE
from patron.understand.facts import build_facts
from patron.understand.features import build_features

DAYS, DRAWS = 450, 50
TRAIT, SHARE = "gender", 0.2
FAIR = replace(
    DEFAULT_SHOP,
    sensitive_group_share=SHARE,
    orders_per_day=0.012,
    orders_shape=5.0,
    visits_per_day=0.2,
    slowing_share=0.0,
    lifetime_days=250.0,
    visitor_every=50,
)
UNFAIR = replace(FAIR, lingering_share=1.0)
FAIRNESS = f'\n[fairness]\nsensitive_traits = ["{TRAIT}"]\nmitigation = "group_thresholds"\n'


@dataclass(frozen=True)
class Audit:
    """What one shop's audit found, and what came of it."""

    churn: ChurnFairness
    coming: Mapping[str, tuple[float, float, float]]
    """Gap of group b in the true positive rate of the next 90 days, with its interval, by mitigation."""
    selected: Mapping[str, tuple[int, int]]
    """Customers at risk, and how many of them leave, by mitigation."""
    changed: int
    """Customers who change places."""

    past: PastChurn
    policy: Policy

    @property
    def alarms(self) -> list[FairnessRow]:
        """What warns or refuses with one threshold for all."""
        return alarms_of(self.churn)

    def again(self, draw: int) -> ChurnFairness:
        """The same shop compared by a trait that is drawn at random."""
        rng = np.random.default_rng(draw)
        names = np.unique(self.past.customers).tolist()
        groups = {one: "ab"[int(b)] for one, b in zip(names, rng.random(len(names)) < SHARE, strict=True)}
        return judge_churn(self.past, {TRAIT: groups}, self.policy, rng=rng)


def main(shops: int = 3, customers: int = 700) -> None:
    """Measure and print."""
    alarms = draws = 0
    for seed in range(1, 1 + shops):
        fair = audit(replace(FAIR, customers=customers), seed)
        print(
            f"fair shop, seed {seed}: {[(row.group_name, row.metric, row.verdict) for row in fair.alarms]}", flush=True
        )
        alarms += sum(map(bool, (alarms_of(fair.again(draw)) for draw in range(DRAWS))))
        draws += DRAWS
    print(f"fair shops, groups drawn at random: an alarm in {alarms} of {draws}", flush=True)
    for seed in range(1, 1 + shops):
        show(seed, audit(replace(UNFAIR, customers=customers), seed))


def alarms_of(churn: ChurnFairness) -> list[FairnessRow]:
    """What warns or refuses with one threshold for all."""
    return [row for row in churn.rows if row.mitigation == NO_MITIGATION and row.verdict in (WARN, REFUSE)]


def show(seed: int, found: Audit) -> None:
    """Print one unfair shop."""
    print(f"unfair shop, seed {seed}: {[(row.group_name, row.metric, row.verdict) for row in found.alarms]}")
    for mitigation in (NO_MITIGATION, GROUP_THRESHOLDS):
        for row in found.churn.rows:
            is_gap = row.metric == TRUE_POSITIVE_RATE and row.group_name == "b"
            if is_gap and row.mitigation == mitigation and row.gap is not None:
                print(
                    f"  {mitigation}, past: gap {row.gap:+.3f} [{row.gap_low:+.3f}, {row.gap_high:+.3f}] {row.verdict}"
                )
        if mitigation in found.coming:
            gap, low, high = found.coming[mitigation]
            count, right = found.selected[mitigation]
            print(f"  {mitigation}, coming: gap {gap:+.3f} [{low:+.3f}, {high:+.3f}]; {count} at risk, {right} leave")
    thresholds = {group: round(value, 3) for group, value in found.churn.thresholds.items()}
    print(f"  thresholds {thresholds}; {found.changed} customers change places", flush=True)


def audit(settings: SimulatorSettings, seed: int) -> Audit:
    """Simulate a shop, forecast churn, compare the groups, and see what comes."""
    world = ShopSimulator(settings, seed)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "w"
        Shop.create(workspace).close()
        write_rules(workspace, settings, budget_cents=0)
        with (workspace / POLICY_FILE).open("a", encoding="utf-8") as policy:
            policy.write(FAIRNESS)
        shop = Shop.open(workspace)
        ingest_events(shop, world.history(DAYS), received_at=world.now)
        now = world.now
        forecast(shop, now - timedelta(days=CHURN.horizon_days))
        scores, past, churn = forecast(shop, now)
        ordered = orders_of_next_90_days(world)
        customer_of = customers_by_user_id(shop, now)
        users = {customer: user for user, customer in customer_of.items()}
        group_of = {f"C{i}": "ab"[int(b)] for i, b in zip(world.people.person, world.people.is_in_group_b, strict=True)}
        policy = shop.policy
        shop.close()
    rows = sorted((users[customer], value) for customer, value in scores.items() if customer in users)
    forecasts = np.array([value for _, value in rows])
    happened = np.array([float(user not in ordered) for user, _ in rows])
    groups = np.array([group_of[user] for user, _ in rows])
    threshold = policy.at_risk.at_risk_from
    coming, selected, flags = {}, {}, {}
    for mitigation, thresholds in ((NO_MITIGATION, {}), (GROUP_THRESHOLDS, churn.thresholds)):
        if mitigation == NO_MITIGATION or thresholds:
            flags[mitigation] = chosen = is_recognised(forecasts, groups.tolist(), thresholds, threshold)
            selected[mitigation] = (int(chosen.sum()), int((chosen * happened).sum()))
            coming |= gap_of(SelectedRows(np.arange(len(chosen)), chosen, forecasts, happened), groups, mitigation)
    changed = int(np.sum(flags[NO_MITIGATION] != flags[GROUP_THRESHOLDS])) if GROUP_THRESHOLDS in flags else 0
    return Audit(churn, coming, selected, changed, past, policy)


def gap_of(rows: SelectedRows, groups: np.ndarray, mitigation: str) -> dict[str, tuple[float, float, float]]:
    """Gap of group b in the true positive rate, with its interval, by mitigation."""
    compared = compare_groups(rows, groups, fewest=20, rng=np.random.default_rng(0))
    gaps = [metric.gap for metric in compared.metrics if (metric.metric, metric.group) == (TRUE_POSITIVE_RATE, "b")]
    return {mitigation: (gaps[0].value, gaps[0].low, gaps[0].high)} if gaps and gaps[0] else {}


def forecast(shop: Shop, as_of: datetime) -> tuple[dict[str, float], PastChurn, ChurnFairness]:
    """Churn probability by customer_id, past forecasts, and the comparison of the groups, as a run makes them."""
    run = Run.at(as_of, zone=shop.settings.shop.time_zone)
    view = stage_view(shop, understand, run=run)
    for build in (build_facts, build_run_cutoffs, build_features):
        build(view)
    predicting = stage_view(shop, predict, run=run)
    answered = scoring.answer(
        predicting, CHURN, scoring.read_features(predicting, "features"), (Mean(), BoostedProbability())
    )
    predicting.write("past_forecasts", answered.past_forecasts)
    predicting.write("trainings", training_rows(run.run_id, [answered.summary.training]))
    scores = zip(answered.scores["customer_id"].to_pylist(), answered.scores["value"].to_pylist(), strict=True)
    deciding = stage_view(shop, decide, run=run)
    return dict(scores), read_past_churn(deciding), audit_churn(deciding)


def orders_of_next_90_days(world: ShopSimulator) -> set[str]:
    """User ids that order in the next 90 days."""
    events = world.history(CHURN.horizon_days)
    is_order = [name == "Order Completed" for name in events["name"].to_pylist()]
    return {user for user, order in zip(events["user_id"].to_pylist(), is_order, strict=True) if order and user}


if __name__ == "__main__":
    main(*(int(one) for one in sys.argv[1:3]))
