"""How soon a policy shows a good new product as often as its true click probability deserves."""

from dataclasses import dataclass

import numpy as np

from patron.simulate.storefront.storefront_result import StorefrontResult

GOOD_SHARE = 0.1
"""Launches whose true click probability is among so many of all products count as good."""
TOLERANCE_SHARE = 0.1
"""Ranks are the same within so many of all products."""
WINDOW_DAYS = 28
"""Exposure is what was shown in so many days."""
FACTOR = 2.0
"""And the product is shown so many times as often as the mean product, which lists by chance do not do."""
DAYS_LEFT = 60
"""Launches later than so many days before the end do not count."""


@dataclass(frozen=True)
class Launches:
    """Good new products of a year, one row each."""

    item: np.ndarray
    impressions: np.ndarray
    """Times shown until its rank by exposure was that of its true click probability; infinite if it never was."""
    days: np.ndarray
    """Days from the launch until then."""

    def reached_share(self, most_impressions: float) -> float:
        """Share that reached their rank within so many impressions."""
        return float((self.impressions <= most_impressions).mean()) if len(self.item) else float("nan")


def good_launches(result: StorefrontResult) -> Launches:
    """Follow the exposure of the good products that were launched in the year."""
    launch, truth, n = result.products.launch_day, result.true_click_share, len(result.products)
    key = result.impressions.day * n + result.impressions.item
    shown = np.bincount(key, minlength=result.days * n).reshape(result.days, n)
    total = np.cumsum(shown, axis=0)
    recent = total.copy()
    recent[WINDOW_DAYS:] -= total[:-WINDOW_DAYS]
    true_rank = np.argsort(np.argsort(-np.nan_to_num(truth)))
    good = np.flatnonzero((launch > 0) & (launch < result.days - DAYS_LEFT) & (true_rank < GOOD_SHARE * n))
    impressions, days = np.full(len(good), np.inf), np.full(len(good), np.inf)
    for row, item in enumerate(good):
        better = (recent > recent[:, [item]]).sum(axis=1)
        is_ranked = better <= true_rank[item] + TOLERANCE_SHARE * n
        days_in = np.flatnonzero(is_ranked & (recent[:, item] > FACTOR * recent.mean(axis=1)))
        if len(days_in):
            impressions[row], days[row] = total[days_in[0], item], days_in[0] - launch[item]
    return Launches(good, impressions, days)
