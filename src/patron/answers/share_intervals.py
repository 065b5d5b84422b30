"""The interval of a share that was counted."""

from math import sqrt

REACH_95 = 1.959963984540054
"""Standard errors on either side of a 95 % interval."""


def share_interval(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share, 0 to 1 (Wilson 1927); of nothing it is everything."""
    if not total:
        return 0.0, 1.0
    share, square = count / total, REACH_95**2
    centre = share + square / (2 * total)
    reach = REACH_95 * sqrt(share * (1 - share) / total + square / (4 * total**2))
    return max((centre - reach) / (1 + square / total), 0.0), min((centre + reach) / (1 + square / total), 1.0)
