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
    low, high = ((centre + sign * reach) / (1 + square / total) for sign in (-1, 1))
    # why: rounding errors may put an end of an interval that reaches 0 or 1 on the other side of the share
    return min(max(low, 0.0), share), max(min(high, 1.0), share)
