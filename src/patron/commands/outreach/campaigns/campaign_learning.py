"""What earlier campaigns teach the next one: by which factor the gains that were expected came true.

The gain of a campaign is a factor times what was expected of it. Before anything is measured the factor is 1, as unsure
as the assumptions are; a measured campaign with the same offers, or for messages alone the same topic, moves it by its
precision (normal prior, normal measurement; docs/explanation/campaigns.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

from patron.storage.outreach.campaign_file import Campaign
from patron.storage.outreach.versioned_drafts import MEASURED, SavedVersion

SPREAD = 0.3
"""Standard deviation of the factors of campaigns with the same offers: no two campaigns are alike."""


@dataclass(frozen=True)
class MeasuredFactor:
    """The factor of one campaign that is over, with its standard error."""

    campaign: str
    factor: float
    standard_error: float


@dataclass(frozen=True)
class GainFactor:
    """What the next campaign's gain is expected to be, as a multiple of the assumptions."""

    factor: float
    standard_error: float
    """Of the next campaign's own factor: of the mean, and of campaigns around it."""
    learned_from: tuple[str, ...] = ()
    """Campaigns that it was measured on."""


def expected_factor(prior_error: float, measured: Iterable[MeasuredFactor]) -> GainFactor:
    """The factor of the next campaign; `prior_error` is the standard error of the assumptions as a share of them."""
    known = [one for one in measured if one.standard_error > 0]
    of_mean = max(prior_error**2 - SPREAD**2, 0.0)
    if not known or not of_mean:
        return GainFactor(1.0, prior_error)
    precision = [1 / (one.standard_error**2 + SPREAD**2) for one in known]
    total = 1 / of_mean + sum(precision)
    weighed = 1 / of_mean + sum(one.factor * weight for one, weight in zip(known, precision, strict=True))
    names = tuple(one.campaign for one in known)
    return GainFactor(weighed / total, sqrt(1 / total + SPREAD**2), names)


def measured_factors(
    campaign: SavedVersion[Campaign], others: Iterable[SavedVersion[Campaign]]
) -> tuple[MeasuredFactor, ...]:
    """Factors of other measured campaigns with the same offers or, for messages alone, the same topic."""
    factors = []
    for other in others:
        step = other.last("measured")
        if other.name == campaign.name or other.state != MEASURED or step is None or not _are_alike(campaign, other):
            continue
        factor, error = step.details.get("gain_factor"), step.details.get("gain_factor_error")
        if factor is not None and error is not None:
            factors.append(MeasuredFactor(other.name, float(factor), float(error)))
    return tuple(factors)


def _are_alike(one: SavedVersion[Campaign], other: SavedVersion[Campaign]) -> bool:
    if one.content.offers or other.content.offers:
        return set(one.content.offers) == set(other.content.offers)
    return one.content.topic == other.content.topic
