"""Campaigns and journeys in the reader's words: what can be known of them, what was learned, and what to distrust."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.policy_texts import change_rows
from patron.interfaces.i18n.refusal_texts import refusal_text
from patron.interfaces.i18n.rule_texts import Change, RuleTexts
from patron.interfaces.i18n.translations import Words
from patron.schema.sentences import Text
from patron.storage.offers.policy_changes import PolicyChange
from patron.storage.outreach.approved_terms import TermsChange

SHOWN_OTHERWISE = ("finding.takes_days", "finding.takes_years")
"""Findings that a page says together with what the holdout can show."""
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

    def terms(self, changes: Iterable[TermsChange], names: dict[str, str], rules: RuleTexts) -> list[Change]:
        """What is not as it was approved: what it is, as approved and as it is now; `names` are those of offers."""
        return [self._term(change, names, rules) for change in changes]

    def _term(self, change: TermsChange, names: dict[str, str], rules: RuleTexts) -> Change:
        section, name, key = change.section, change.name, change.key
        if section == "segments":
            old, new = (one and rules.sentence(one["rule"]) for one in (change.before, change.after))
            return self.texts("terms.segment", name=name), old, new
        if section not in {"channels", "shop"}:
            policy = PolicyChange(section, name, key, change.before, change.after)
            return change_rows([policy], names, self.texts, self.formats)[0]
        old, new = (None if one is None else str(one) for one in (change.before, change.after))
        if section == "shop":
            return self.texts(f"terms.{key}"), old, new
        channel = self.texts.code("channel", name)
        if not key:
            old, new = (one and ", ".join(one.values()) for one in (change.before, change.after))
            return self.texts("terms.channel", channel=channel), old, new
        return self.texts("terms.of_channel", channel=channel, setting=key), old, new

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

    def findings(self, content: Mapping[str, Any], skip: str = "") -> list[Markup]:
        """Findings of a plan or result in this language but for one; of those kept before codes were, the English."""
        kept = content.get("finding_texts") or content["findings"]
        listed = [one for one in map(Text.read, kept) if one != skip and one.code not in SHOWN_OTHERWISE]
        return [refusal_text(one, self.texts) for one in listed]


def interval(effect: Mapping[str, Any], *, is_final: bool) -> tuple[float, float]:
    """Interval of an effect per customer; before the end the one that all looks hold together for."""
    names = ("low_cents", "high_cents") if is_final else ("sequence_low_cents", "sequence_high_cents")
    return effect[names[0]], effect[names[1]]
