"""Effects and sample sizes of statsmodels and tea-tasting on a small experiment, as tests keep them.

`python benchmarks/experiments/peers.py`, in an environment of its own with statsmodels 0.15.0 and tea-tasting 1.14.0;
`python benchmarks/experiments/peers.py sequences`, in another one with gbstats 0.8.0, whose sequential test is the same
confidence sequence where arms are of equal size.
"""

import sys

import numpy as np

ARMS = ("control", "coupon", "call")


def experiment() -> dict[str, np.ndarray]:
    """Columns arm, spend, before, visits and region of 900 customers."""
    rng = np.random.default_rng(20)
    arm = rng.integers(0, len(ARMS), 900)
    before = np.round(rng.gamma(1.5, 20, 900), 2)
    spend = np.round(0.7 * before + rng.gamma(1.2, 15, 900) + 3 * arm, 2)
    return {
        "arm": np.array(ARMS)[arm],
        "spend": spend,
        "before": before,
        "visits": rng.poisson(3, 900) + 1.0,
        "region": rng.integers(0, 3, 900).astype(float),
    }


def equal_arms() -> dict[str, np.ndarray]:
    """The same customers, with arms in turn."""
    return experiment() | {"arm": np.array(ARMS)[np.arange(900) % len(ARMS)]}


def record() -> None:
    import pandas as pd  # noqa: PLC0415
    import statsmodels  # noqa: PLC0415 # pyright: ignore[reportMissingImports]
    import tea_tasting as tt  # noqa: PLC0415 # pyright: ignore[reportMissingImports]
    from statsmodels.stats.power import TTestIndPower  # noqa: PLC0415 # pyright: ignore[reportMissingImports]
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW  # noqa: PLC0415 # pyright: ignore[reportMissingImports]

    print("statsmodels", statsmodels.__version__, "tea-tasting", tt.__version__)
    rows = pd.DataFrame(experiment())
    control = rows[rows.arm == "control"]
    for arm in ARMS[1:]:
        treated = rows[rows.arm == arm]
        means = CompareMeans(DescrStatsW(treated.spend), DescrStatsW(control.spend))
        low, high = means.tconfint_diff(usevar="unequal")
        p_value = means.ttest_ind(usevar="unequal")[1]
        effect = treated.spend.mean() - control.spend.mean()
        print(f'("{arm}", "raw"): ({effect:.15g}, {low:.15g}, {high:.15g}, {p_value:.15g}),')
        pair = pd.concat([control, treated])
        tests = tt.Experiment(
            {
                "raw": tt.Mean("spend"),
                "cuped": tt.Mean("spend", "before"),
                "ratio": tt.RatioOfMeans("spend", "visits"),
            },
            variant="arm",
        ).analyze(pair, control="control")
        for name in ("raw", "cuped", "ratio"):
            one = tests[name]
            ends = f"{one.effect_size_ci_lower:.15g}, {one.effect_size_ci_upper:.15g}"
            print(f'("{arm}", "{name}"): ({one.effect_size:.15g}, {ends}, {one.pvalue:.15g}),')
    for size in (0.5, 0.1, 0.02):
        print(size, TTestIndPower().solve_power(effect_size=size, alpha=0.05, power=0.8))
    for customers in (50, 1000):
        print(customers, f"{TTestIndPower().solve_power(nobs1=customers, alpha=0.05, power=0.8):.15g}")
    print(tt.SampleRatio({"control": 1, "coupon": 1, "call": 2}).analyze(rows, "control", "coupon", "arm"))


def record_sequences() -> None:
    from gbstats.frequentist.tests import (  # noqa: PLC0415 # pyright: ignore[reportMissingImports]
        SequentialConfig,
        SequentialTwoSidedTTest,
    )
    from gbstats.models.statistics import (  # noqa: PLC0415 # pyright: ignore[reportMissingImports]
        SampleMeanStatistic,
    )

    rows = equal_arms()
    config = SequentialConfig(difference_type="absolute", alpha=0.05, sequential_tuning_parameter=2_000)
    for arm in ARMS[1:]:
        for end in (450, 900):
            arms, spend = rows["arm"][:end], rows["spend"][:end]
            parts = [spend[arms == name] for name in (ARMS[0], arm)]
            sums = [SampleMeanStatistic(n=len(part), sum=part.sum(), sum_squares=(part**2).sum()) for part in parts]
            test = SequentialTwoSidedTTest(*sums, config).compute_result()
            print(f'("{arm}", {end}): ({test.expected:.15g}, {test.ci[0]:.15g}, {test.ci[1]:.15g}),')


if __name__ == "__main__":
    if sys.argv[1:] == ["sequences"]:
        record_sequences()
    else:
        record()
