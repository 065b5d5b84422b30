"""The content of a campaign as rows of a name and a text, and what two versions have different."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from patron.interfaces.i18n.engagement_texts import EngagementTexts
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.rule_texts import Change, changed_lines
from patron.interfaces.i18n.translations import Words
from patron.storage.outreach.topic_policy import Topic

Row = tuple[str, str]
"""Name of a setting, and its text."""


@dataclass(frozen=True)
class CampaignTexts:
    """Writes campaigns of one shop in one language."""

    texts: Words
    formats: Formats
    offer_names: Mapping[str, str]
    topics: Mapping[str, Topic]

    def rows(self, content: Mapping[str, Any]) -> Iterator[Row]:
        """Every setting but the texts of its templates."""
        texts, moment = self.texts, EngagementTexts(self.texts, self.formats).moment
        yield texts("campaign.goal"), texts(f"campaign.goal.{content['goal']}")
        run = content.get("run")
        yield texts("campaign.audience"), texts("campaign.of_run", run=run) if run else content["segment"]
        if content["exclude"]:
            yield texts("campaign.exclude"), self.listed(content["exclude"])
        yield texts("campaign.channel"), texts.code("channel", content["channel"])
        yield texts("campaign.topic"), self.topic(content["topic"])
        yield texts("campaign.offers"), self.offers(content["offers"])
        yield texts("campaign.budget"), self.formats.money(content["budget"] * 100)
        share = texts("campaign.holdout_of_run") if run else self.formats.share(content["holdout_share"], 0)
        yield texts("campaign.holdout"), share
        yield texts("campaign.start"), moment(content["start"])
        yield texts("campaign.end"), moment(content["end"])

    def changes(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
        """Settings and lines of texts that differ."""
        return (*changed_rows(list(self.rows(before)), list(self.rows(after))), *self.template_changes(before, after))

    def template_changes(
        self, before: Mapping[str, Any], after: Mapping[str, Any], place: str = ""
    ) -> Iterator[Change]:
        """Lines of templates that differ; `place` says where the templates are."""
        old, new = before.get("template") or {}, after.get("template") or {}
        for language in dict.fromkeys(chain(old, new)):
            for part in ("subject", "body"):
                name = f"{place}{self.texts(f'campaign.{part}')} ({self.language(language)})"
                lines = [one.get(language, {}).get(part, "").splitlines() for one in (old, new)]
                yield from changed_lines(name, *lines)

    def listed(self, names: Sequence[str]) -> str:
        """Names in one line."""
        return self.texts("list.joint").join(names)

    def offers(self, offers: Sequence[str]) -> str:
        """Names of offers; without any the message goes out alone."""
        if not offers:
            return self.texts("campaign.no_offer")
        return self.listed([self.texts.offer(offer, self.offer_names) for offer in offers])

    def topic(self, code: str) -> str:
        """Name of a topic as customers read it."""
        return self.topics[code].name(self.texts.locale) if code in self.topics else code

    def language(self, code: str) -> str:
        """Name of a language."""
        return self.texts.code("language", code)


def changed_rows(before: list[Row], after: list[Row]) -> Iterator[Change]:
    """Rows that differ, by name; rows of one name in their order."""
    for name in dict.fromkeys(one for one, _ in (*before, *after)):
        yield from changed_lines(name, *([text for one, text in rows if one == name] for rows in (before, after)))
