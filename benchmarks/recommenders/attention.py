"""Does attention add to transitions, on clicks and on simulated sequences? Needs the extra deep.

Usage: python benchmarks/recommenders/attention.py FOLDER [KIND ...] (kinds of `kinds_of_data.py` that are sequences).
NDCG@10 of what users did last, with the paired 95 % interval of the gain over co-visitation, the share that attention
got, and the time of the fit.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from kinds_of_data import MADE, READ

from patron.recommenders import AttentionMixture, CoVisitation, TransitionMixture, evaluate, split

MINUTES = 40
"""Longest time of the whole study in `make bench`."""
SEQUENCES = ("steps of minutes", "steps of hours", "steps of days", "taobao")


def main(folder: Path, kinds: Sequence[str] = ()) -> None:
    for kind in kinds or SEQUENCES:
        rows = MADE[kind][0](np.random.default_rng(1)) if kind in MADE else READ[kind][0](folder)
        train, test = split(rows, "leave-last")
        started = time.perf_counter()
        share = AttentionMixture().fit(train).share
        print(f"{kind}: attention has {share:.0%}; fit {time.perf_counter() - started:.0f} s", flush=True)
        learners = {one.name: one for one in (CoVisitation(), TransitionMixture(), AttentionMixture())}
        for row in evaluate(train, test, learners, exclude_seen=False).to_pylist():
            gain = f"{row['ndcg_cut_gain']:+.3f} [{row['ndcg_cut_gain_low']:+.3f}, {row['ndcg_cut_gain_high']:+.3f}]"
            print(f"  {row['learner']:20} {row['ndcg_cut']:.3f}  {gain}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
