"""Recommendation policies in a closed loop: a simulated storefront, several seeds, a year, gains in pairs.

`python benchmarks/recommenders/closed_loop.py [--seeds 10] [--shoppers 400] [--days 365] [--taste 1.0] [--json FILE]
[POLICY ...]`. Prints click rate, conversion and margin of each policy, their gains over the baselines with bootstrap
intervals over seeds, how soon good new products are shown as they deserve, and the time a year takes.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from service_policy import ServicePolicy
from storefront_baselines import PersonalFrequency, RandomLists, RecentPopularity, TrueChances, TrueOrders, TrueTastes
from storefront_launches import good_launches

from patron.estimators.bootstrap import Interval, bootstrap_weights, percentile_interval
from patron.simulate.storefront.storefront import Storefront
from patron.simulate.storefront.storefront_policy import Policy
from patron.simulate.storefront.storefront_result import StorefrontResult
from patron.simulate.storefront.storefront_settings import DEFAULT_STOREFRONT

POLICIES: dict[str, Callable[[Storefront, int], Policy]] = {
    "random": RandomLists,
    "popularity": RecentPopularity,
    "personal": PersonalFrequency,
    "true_tastes": TrueTastes,
    "true_chances": TrueChances,
    "true_orders": TrueOrders,
    "service": ServicePolicy,
}
BASELINES = ("popularity", "personal")
MEASURES = (
    "click_rate",
    "expected_click_rate",
    "home_click_rate",
    "conversion",
    "list_conversion",
    "margin_per_visit_cents",
)
NEW_PRODUCT_IMPRESSIONS = 2_000
RESAMPLES = 4_000


def measures(result: StorefrontResult) -> dict[str, float]:
    """One year of a policy in numbers."""
    launches = good_launches(result)
    return {
        "click_rate": result.click_rate(),
        "expected_click_rate": result.expected_click_rate(),
        "home_click_rate": result.click_rate("home"),
        "conversion": result.conversion,
        "list_conversion": result.list_conversion,
        "margin_per_visit_cents": result.margin_per_visit_cents,
        "list_purchase_share": result.list_purchase_share,
        "repeat_share": result.repeat_share(),
        "launches": len(launches.item),
        "launches_in_time_share": launches.reached_share(NEW_PRODUCT_IMPRESSIONS),
    }


def relative_gain(policy: np.ndarray, baseline: np.ndarray, *, seed: int = 0) -> Interval:
    """Gain of the mean over seeds, as a share of the baseline's; whole seeds are drawn again, the same for both."""
    weights = bootstrap_weights(np.arange(len(policy)), rng=np.random.default_rng(seed), resamples=RESAMPLES)
    draws = (weights @ policy) / (weights @ baseline) - 1
    return percentile_interval(float(policy.mean() / baseline.mean() - 1), draws)


def run_policy(name: str, options: argparse.Namespace) -> list[dict[str, float]]:
    """A row of measures for each seed."""
    settings = replace(DEFAULT_STOREFRONT, shoppers=options.shoppers, taste_strength=options.taste)
    rows = []
    for seed in range(options.seeds):
        shop = Storefront(settings, days=options.days, seed=seed)
        since = time.perf_counter()
        result = shop.run(POLICIES[name](shop, seed))
        rows.append(measures(result) | {"seconds": time.perf_counter() - since})
    return rows


def show(rows: dict[str, list[dict[str, float]]]) -> None:
    """Print the levels of all policies, then gains over each baseline that was run."""
    columns = {name: {key: np.array([row[key] for row in many]) for key in many[0]} for name, many in rows.items()}
    print(f"{'policy':14}", *(f"{key[:22]:>22}" for key in next(iter(columns.values()))))
    for name, of in columns.items():
        print(f"{name:14}", *(f"{np.nanmean(values):22.4f}" for values in of.values()))
    for baseline in (name for name in BASELINES if name in columns):
        print(f"\ngain over {baseline}, % [95 % interval over seeds]")
        for name in (name for name in columns if name != baseline):
            gains = (relative_gain(columns[name][key], columns[baseline][key]) for key in MEASURES)
            cells = (f"{100 * one.value:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]" for one in gains)
            print(f"  {name:14}", "  ".join(f"{key} {cell}" for key, cell in zip(MEASURES, cells, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--shoppers", type=int, default=DEFAULT_STOREFRONT.shoppers)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--taste", type=float, default=1.0, help="strength of personal taste; .5 is half")
    parser.add_argument("--json", type=Path, help="file for the measures of each policy and seed")
    parser.add_argument("policies", nargs="*", default=list(POLICIES), metavar="POLICY")
    options = parser.parse_args()
    rows = {name: run_policy(name, options) for name in options.policies}
    show(rows)
    if options.json:
        settings = {key: vars(options)[key] for key in ("seeds", "shoppers", "days", "taste")}
        options.json.write_text(json.dumps({"settings": settings, "policies": rows}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
