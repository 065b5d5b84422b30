"""Who responds to a campaign? On Complete Journey, campaigns from 1 October 2017 on, next to four rules.

Usage: python benchmarks/predict/response_to_messages.py
Events come from the built-in mapping and facts from the facts step, so that rows, learners and intervals are those of
a run. A response is a redeemed coupon of the campaign while it lasts. Left out are three campaigns that start before
the transactions; learned from are campaigns that ended before the cut. Then a run's own three cutoffs, and what the
step costs a run. Asked: AUC of at least .815 pooled, and .755 within campaigns. Targeting is not random: no uplift.
"""

import resource
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from patron import predict, understand
from patron.commands.data.import_files import import_files
from patron.commands.data.init_workspace import create
from patron.estimators.bootstrap import Interval, bootstrap_weights, percentile_interval
from patron.predict.backtest import ALL, Backtest, backtest
from patron.predict.message_response import LEARNERS
from patron.predict.message_response.message_rows import learning_rows, read_recipients
from patron.predict.message_response.messages import read_message_types
from patron.predict.message_response.response_forecasts import build_response_forecasts
from patron.predict.origins import Origin, later_origins
from patron.run import stage_view
from patron.schema.models import metrics
from patron.schema.models.questions import MESSAGE_RESPONSE
from patron.schema.table_definition import TIME
from patron.storage.runs.runs import Run
from patron.storage.runs.stage_view import StageView
from patron.storage.shop import Shop
from patron.understand.facts import build_facts

FIRST, CUT = datetime(2017, 1, 1, tzinfo=UTC), datetime(2017, 10, 1, tzinfo=UTC)
ALL_OVER = datetime(2018, 3, 5, tzinfo=UTC)
"""All campaigns have ended by then; transactions and redemptions end with 2017."""
SEED = 7


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        create(Path(folder) / "w")
        shop = Shop.open(Path(folder) / "w")
        import_files(shop, [], "completejourney", progress=lambda *_: None, now=datetime.now(UTC))
        shop.reload_settings()
        run = Run.at(ALL_OVER, zone=shop.settings.shop.time_zone)
        build_facts(stage_view(shop, understand, run=run))
        view = stage_view(shop, predict, run=run)
        with threadpool_limits(limits=1, user_api="blas"):  # as in a run
            a_run(view)
            types = read_message_types(view)
            rows = learning_rows(view, types, read_recipients(view))
            rows = rows.filter(pc.greater_equal(rows["sent_at"], pa.scalar(FIRST, TIME)))
            show("campaigns from 1 October on", rows, later_origins(rows, "sent_at", "until", cutoffs=[CUT]))
            show("as in a run", rows, later_origins(rows, "sent_at", "until"))
        shop.close()


def a_run(view: StageView) -> None:
    """What the step adds to a run."""
    worked, started = processor_seconds(), time.perf_counter()
    result = build_response_forecasts(view)
    seconds = processor_seconds() - worked
    rows = view.read("response_forecasts")
    print(f"a run: {seconds:.1f} s of processor time, {time.perf_counter() - started:.1f} s; {rows.num_rows} rows, "
          f"unanswered {result.unanswered}")  # fmt: skip
    print(rows.group_by(["channel", "message_type"]).aggregate([("probability", "mean"), ("probability", "max")]))


def show(title: str, rows: pa.Table, origins: Sequence[Origin]) -> None:
    result = backtest(MESSAGE_RESPONSE, LEARNERS, origins, rng=np.random.default_rng(SEED))
    one = result.evaluations[ALL, result.champion]
    print(f"\n## {title}: cutoffs {', '.join(result.origins)}; {rows.num_rows} messages, judged {len(one.actual)} in "
          f"{len(np.unique(one.campaigns))} campaigns, {one.actual.sum():.0f} responses\n{result.why}")  # fmt: skip
    weights = bootstrap_weights(one.customers, rng=np.random.default_rng(SEED))
    by_campaign = bootstrap_weights(one.campaigns, rng=np.random.default_rng(SEED))
    for learner in LEARNERS:
        if (ALL, learner.name) not in result.evaluations:
            continue
        part = result.evaluations[ALL, learner.name]
        cells = "".join(
            f"{m.name} {text(percentile_interval(float(part.value(m)), part.value(m, weights))):26}"
            for m in MESSAGE_RESPONSE.all_metrics
        )
        print(f"  {learner.name:24}{cells}")
    for metric in (metrics.AUC, metrics.WITHIN_CAMPAIGN_AUC):
        value = percentile_interval(float(one.value(metric)), one.value(metric, by_campaign))
        print(f"  {result.champion}, campaigns resampled: {metric.name} {text(value)}")
    gains(result, weights)


def gains(result: Backtest, weights: np.ndarray) -> None:
    """Paired gains of the champion over every rule and the best model next to it."""
    one = result.evaluations[ALL, result.champion]
    for rule in MESSAGE_RESPONSE.baselines:
        other = result.evaluations[ALL, rule]
        for metric in (metrics.LOG_LOSS, metrics.AUC):
            drawn = metric.gain(one.value(metric, weights), other.value(metric, weights))
            gain = percentile_interval(float(metric.gain(one.value(metric), other.value(metric))), drawn)
            print(f"  {result.champion} over {rule:24} {metric.name:10} {text(gain)}")
    for number in np.unique(one.campaigns):
        of = one.campaigns == number
        value = metrics.AUC.of(one.actual[of], one.forecast[of])
        print(f"  campaign of {of.sum()} with {one.actual[of].sum():.0f} responses: AUC {value:.3f}")


def text(one: Interval) -> str:
    return f"{one.value:.4f} [{one.low:.4f}, {one.high:.4f}]"


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
