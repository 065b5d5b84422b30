"""Steps of a journey as sentences, for whoever has to approve it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from patron.storage.outreach.journey_file import Branch, Send, Wait, WaitFor

if TYPE_CHECKING:
    from patron.storage.outreach.journey_file import Journey, JourneyStep

UNITS = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


def step_lines(journey: "Journey") -> Iterator[tuple[str, str]]:
    """Id of each step, and what it does."""
    for place, step in enumerate(journey.steps):
        yield journey.step_id(place), _words(journey, place, step)


def template_texts(journey: "Journey") -> Iterator[tuple[str, str, str]]:
    """What is sent: step and language, subject, and body as it was written."""
    for place, step in enumerate(journey.steps):
        if isinstance(step, Send):
            for language, one in step.template.items():
                yield f"step {journey.step_id(place)}, {language}", one.subject, one.body


def _words(journey: "Journey", place: int, step: "JourneyStep") -> str:
    match step:
        case Wait():
            return f"wait {_time(step.duration)}"
        case WaitFor():
            came, late = _target(journey, place, step.then), _target(journey, place, step.otherwise)
            return f"wait for {step.event}, at most {_time(step.duration)}; if it comes, {came}, else {late}"
        case Branch():
            holds, fails = _target(journey, place, step.then), _target(journey, place, step.otherwise)
            return f"if {json.dumps(step.rule, ensure_ascii=False)}, {holds}, else {fails}"
        case Send():
            subject = next(iter(step.template.values())).subject
            offer = f", with offer {step.offer}" if step.offer else ""
            late = _time(timedelta(hours=step.within_hours))
            languages = ", ".join(step.template)
            return f'send "{subject}" ({languages}) by {step.channel or journey.channel}{offer}, at most {late} late'
        case _:
            return "leave the journey"


def _target(journey: "Journey", place: int, target: str) -> str:
    after = journey.place_after(place, target)
    return "end the journey" if after == len(journey.steps) else f"go on at step {journey.step_id(after)}"


def _time(duration: timedelta) -> str:
    """A duration in the largest unit that it is a whole number of, else in minutes."""
    name, unit = next((one for one in UNITS if not duration % one[1]), UNITS[-1])
    count = duration / unit
    return f"{count:g} {name}{'' if count == 1 else 's'}"
