"""The result of a campaign or a journey in sentences: what to distrust, and what was learned."""

from dataclasses import dataclass

import pyarrow as pa

from patron.commands.outreach.campaigns.campaign_arms import HOLDOUT
from patron.commands.outreach.campaigns.campaign_effect import EffectEstimate
from patron.experiments.sample_ratio import ALARM_LEVEL


@dataclass(frozen=True)
class AgainstForecast:
    """Forecast against actual: incremental margin, cents."""

    forecast_cents: float
    low_cents: float | None
    high_cents: float | None
    """80 % interval of what was to be measured."""
    actual_cents: float
    is_within: bool


def findings(people: pa.Table, srm: float | None, merged: int) -> list[str]:
    """What is wrong with the arms, or with what was sent."""
    sentences = []
    if not any(people["is_sent"].to_pylist()):
        sentences.append("No message of it was sent, so that the next plan learns nothing from it.")
    if srm is not None and srm < ALARM_LEVEL:
        sentences.append("The arms have other sizes than were drawn: distrust every effect until the cause is known.")
    wrong = sum(
        arm == HOLDOUT and is_sent
        for arm, is_sent in zip(people["arm"].to_pylist(), people["is_sent"].to_pylist(), strict=True)
    )
    if wrong:
        sentences.append(f"{wrong:,} customers of the holdout were sent a message, such as before identities merged.")
    if merged:
        sentences.append(f"{merged:,} assigned customers have become one with another; each person counts once.")
    return sentences


def lesson(
    best: EffectEstimate | None,
    comparison: AgainstForecast | None,
    factor: float | None,
    currency: str,
    *,
    is_final: bool,
    so_far: str = "the window is not over",
) -> str:
    """What was learned, in one sentence; `so_far` says why that is not the end."""
    if best is None:
        return "Nothing is known of its effect, because nobody was held out."
    low, high = best.low_cents, best.high_cents
    if not is_final:
        low, high = best.sequence_low_cents, best.sequence_high_cents
    effect = f"{best.effect_cents / 100:+.2f} {currency} per customer (95 %: {low / 100:+.2f} to {high / 100:+.2f})"
    if not is_final:
        return f"So far {effect}; {so_far}."
    verdict = "It earned" if low > 0 else "It lost" if high < 0 else "Not significant:"
    against = ""
    if comparison is not None and factor is not None:
        place = "as was forecast within noise" if comparison.is_within else "outside the forecast"
        against = f"; that is {place}, a gain of {factor:.1f} times what was assumed"
    return f"{verdict} {effect}{against}."
