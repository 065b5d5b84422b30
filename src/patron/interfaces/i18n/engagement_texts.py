"""Campaigns and journeys in the reader's words: what can be known of them, what was learned, and what to distrust."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.refusal_texts import translate
from patron.interfaces.i18n.translations import Words, words

FINDINGS = (
    *("not_sent", "ratio", "wrong_arm", "merged", "open", "complaints", "not_replayed", "nobody", "no_history"),
    *("budget_ends", "no_message", "loss", "too_few", "not_set_up"),
)
"""Findings whose wording is known; `finding.` and each of them is the English sentence, with what it fills in."""
DAYS_OF_YEARS = 730


@dataclass(frozen=True)
class EngagementTexts:
    """Writes about one shop's campaigns and journeys in one language."""

    texts: Words
    formats: Formats

    def moment(self, text: str | datetime | None) -> str:
        """A time by the shop's clock, as files have it."""
        return self.formats.time(self._of_shop(text))

    def day(self, text: str | datetime | None) -> str:
        """The day of such a time."""
        return self.formats.date(self._of_shop(text))

    def _of_shop(self, text: str | datetime | None) -> datetime | None:
        if not text:
            return None
        moment = datetime.fromisoformat(text) if isinstance(text, str) else text
        return moment.replace(tzinfo=ZoneInfo(self.formats.time_zone))

    def detectable(self, known: Mapping[str, Any], customers: int, days: float | None = None) -> str:
        """What the holdout can show."""
        if known["detectable_cents"] is None:
            return self.texts("detect.no_holdout")
        amounts = {
            "effect": self.formats.money(known["expected_cents"]),
            "least": self.formats.money(known["detectable_cents"]),
        }
        if known["is_enough"]:
            return self.texts("detect.enough", **amounts)
        if not known["needed_customers"]:
            return self.texts("detect.none_expected", **amounts)
        needed, has = self.formats.count(known["needed_customers"]), self.formats.count(customers)
        return self.texts("detect.too_few", needed=needed, has=has, **amounts) + self._span(days)

    def _span(self, days: float | None) -> str:
        if not days:
            return ""
        if days < DAYS_OF_YEARS:
            return self.texts("detect.days", count=self.formats.count(ceil(days)))
        return self.texts("detect.years", count=self.formats.count(days / 365))

    def learned(self, result: Mapping[str, Any]) -> str:
        """What a result says of the effect, in a sentence."""
        if not result["effects"]:
            return self.texts("learned.nothing")
        best, is_final = result["effects"][-1], result["is_final"]
        low, high = interval(best, is_final=is_final)
        values = {
            "effect": self.formats.money(best["effect_cents"]),
            "low": self.formats.money(low),
            "high": self.formats.money(high),
        }
        if not is_final:
            return self.texts("learned.so_far", **values)
        verdict = "earned" if low > 0 else "lost" if high < 0 else "unclear"
        return self.texts(f"learned.{verdict}", **values)

    def finding(self, sentence: str) -> str:
        """A finding in this language; one whose wording is not known stays as it was written."""
        english = words("en")
        for code in FINDINGS:
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.*)", re.escape(str(english.texts[f"finding.{code}"])))
            match = re.fullmatch(str(pattern), sentence, re.DOTALL)
            if match:
                values = {name: translate(value, self.texts) or value for name, value in match.groupdict().items()}
                return self.texts(f"finding.{code}", **values)
        return sentence


def interval(effect: Mapping[str, Any], *, is_final: bool) -> tuple[float, float]:
    """Interval of an effect per customer; before the end the one that all looks hold together for."""
    names = ("low_cents", "high_cents") if is_final else ("sequence_low_cents", "sequence_high_cents")
    return effect[names[0]], effect[names[1]]
