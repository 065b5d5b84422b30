"""Journeys in the reader's words: what makes customers enter, what each step does, and what a version changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from patron.interfaces.i18n.campaign_texts import CampaignTexts, Row, changed_rows
from patron.interfaces.i18n.engagement_texts import EngagementTexts
from patron.interfaces.i18n.rule_texts import Change, RuleTexts, changed_lines
from patron.storage.outreach.journey_file import Branch, Journey, JourneyStep, Send, Wait, WaitFor

UNITS = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


@dataclass(frozen=True)
class JourneyTexts:
    """Writes journeys of one shop in one language."""

    campaigns: CampaignTexts
    rules: RuleTexts

    def trigger(self, trigger: Mapping[str, Any]) -> str:
        """What makes customers enter."""
        texts = self.campaigns.texts
        if "event" in trigger:
            text = texts("trigger.first" if trigger["is_first"] else "trigger.event", event=trigger["event"])
            return text + (texts("trigger.of_segment", segment=trigger["segment"]) if trigger["segment"] else "")
        if "enters" in trigger:
            code = "trigger.enters_all" if trigger["includes_members"] else "trigger.enters"
            return texts(code, segment=trigger["enters"])
        if "product" in trigger:
            days = self.campaigns.formats.count(trigger["within_days"])
            share = self.campaigns.formats.share(trigger["least_share"], 0)
            code = "price_drop" if trigger["product"] == "price_drop" else "back_in_stock"
            values = {"days": days, "share": share} if code == "price_drop" else {"days": days}
            return texts(f"trigger.{code}", **values)
        days = trigger["days_before"]
        if days:
            return texts("trigger.before_birthday", n=days, count=days, hour=trigger["hour"])
        return texts("trigger.birthday", hour=trigger["hour"])

    def rows(self, journey: Journey) -> Iterator[Row]:
        """Every setting but the steps."""
        texts, formats = self.campaigns.texts, self.campaigns.formats
        moment = EngagementTexts(texts, formats).moment
        yield texts("journey.trigger"), self.trigger(journey.trigger.model_dump(mode="json"))
        yield texts("journey.exit_on"), self.campaigns.listed(journey.exit_on) or texts("journey.nothing")
        days = journey.reenter_after_days
        again = texts("journey.once") if days is None else texts("journey.again", n=round(days), count=f"{days:g}")
        yield texts("journey.reenter"), again
        yield texts("campaign.channel"), texts.code("channel", journey.channel)
        yield texts("campaign.topic"), self.campaigns.topic(journey.topic)
        yield texts("journey.monthly_budget"), formats.money(journey.monthly_budget * 100)
        yield texts("campaign.holdout"), formats.share(journey.holdout_share, 0)
        yield texts("journey.window"), texts("rule.days", n=journey.window_days, count=journey.window_days)
        if journey.start:
            yield texts("campaign.start"), moment(journey.start)
        if journey.end:
            yield texts("campaign.end"), moment(journey.end)

    def step(self, journey: Journey, place: int) -> str:
        """What one step does."""
        texts, step = self.campaigns.texts, journey.steps[place]
        match step:
            case Wait():
                return texts("journey_step.wait", time=self.duration(step.duration))
            case WaitFor():
                ways = {"then": self._target(journey, place, step.then)}
                ways |= {"otherwise": self._target(journey, place, step.otherwise)}
                return texts("journey_step.wait_for", event=step.event, time=self.duration(step.duration), **ways)
            case Branch():
                ways = {"then": self._target(journey, place, step.then)}
                ways |= {"otherwise": self._target(journey, place, step.otherwise)}
                return texts("journey_step.branch", rule=self.rules.sentence(step.rule), **ways)
            case Send():
                return self._send(journey, step)
            case _:
                return texts("journey_step.exit")

    def _send(self, journey: Journey, step: Send) -> str:
        texts = self.campaigns.texts
        subject = next(iter(step.template.values())).subject
        channel = texts.code("channel", step.channel or journey.channel)
        text = texts("journey_step.send", subject=subject, channel=channel)
        if step.offer:
            text += texts("journey_step.with_offer", offer=texts.offer(step.offer, self.campaigns.offer_names))
        return text + texts("journey_step.late", time=self.duration(timedelta(hours=step.within_hours)))

    def duration(self, duration: timedelta) -> str:
        """A duration in the largest unit that it is a whole number of, else in minutes."""
        name, unit = next((one for one in UNITS if not duration % one[1]), UNITS[-1])
        count = duration / unit
        return self.campaigns.texts(f"duration.{name}", n=round(count), count=f"{count:g}")

    def _target(self, journey: Journey, place: int, target: str) -> str:
        later = journey.place_after(place, target)
        texts = self.campaigns.texts
        return texts("journey_step.end") if later == len(journey.steps) else texts("journey_step.to", number=later + 1)

    def changes(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
        """Settings, steps and lines of texts that differ."""
        old, new = (Journey.of(dict(one), where="journey") for one in (before, after))
        lists = [[self.step(one, place) for place in range(len(one.steps))] for one in (old, new)]
        steps = changed_lines(self.campaigns.texts("journey.step"), *lists)
        return (*changed_rows(list(self.rows(old)), list(self.rows(new))), *steps, *self._messages(old, new))

    def _messages(self, old: Journey, new: Journey) -> Iterator[Change]:
        """Lines of messages that differ: those of the same place among the messages."""
        sends = [[one.model_dump(mode="json") for one in journey.steps if _is_send(one)] for journey in (old, new)]
        for number in range(max(map(len, sends))):
            before, after = (some[number] if number < len(some) else {} for some in sends)
            name = self.campaigns.texts("journey.message_number", number=number + 1)
            yield from self.campaigns.template_changes(before, after, name)


def _is_send(step: JourneyStep) -> bool:
    return isinstance(step, Send)
