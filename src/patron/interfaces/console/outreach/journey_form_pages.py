"""The form of a journey: ready-made ones to start from, what makes customers enter, its steps, limits and proof."""

import json
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.outreach.campaign_list import version_contents
from patron.answers.outreach.journey_list import list_journeys
from patron.answers.segments.saved_segments import list_segments, segment_names
from patron.commands.outreach.journeys.journey_examples import EXAMPLES, example_of, journey_text
from patron.commands.outreach.journeys.save_journey import save_journey
from patron.commands.outreach.messages.sample_message import sample_message
from patron.commands.segments.save_segment import save_segment
from patron.interfaces.console.outreach.campaign_form_pages import (
    FORMATS,
    base_of,
    edited,
    form_page,
    require_free,
    share_of,
    starting_template,
)
from patron.interfaces.console.outreach.engagement_pages import (
    after,
    chosen_version,
    message_page,
    refused_message,
    shop_of,
)
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, form_of, needs
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.i18n import LOCALES
from patron.schema.access.access_rights import Action, Area
from patron.schema.common_sentences import NO_LANGUAGE
from patron.schema.errors import BadJourney, PatronError
from patron.schema.json_texts import parse_json
from patron.schema.outreach.channels import CHANNELS
from patron.schema.sentences import Sentence
from patron.storage.outreach.journey_file import JOURNEY, MAX_STEPS, Journey, ProductTrigger, Send

NO_SUCH_STEP = Sentence("no_such_step", "no such step")

router = APIRouter(route_class=GuardedRoute)
KINDS = ("event", "enters", "product", "date")
"""What a trigger may be, by the key that tells."""
SETTINGS = ("name", "channel", "topic", "monthly_budget", "window_days")
EDITOR_TEXTS = (
    *("wait", "wait_for", "branch", "send", "exit", "kind", "step", "add", "up", "down", "remove", "days", "hours"),
    *("minutes", "event", "then", "otherwise", "then_rule", "next", "end", "offer", "no_offer", "channel"),
    *("same_channel", "within_hours", "subject", "format", "body", "preview", "frame", "rule"),
)
MAX_STEPS_LENGTH = 2_000_000
TRIGGER_FIELDS = ("event", "segment", "enters", "product", "after", "within_days", "least_share", "days_before", "hour")
Fields = dict[str, Any]


@router.get("/journeys/new")
@needs(Action.ACT, Area.CAMPAIGNS)
def new_journey(request: Request) -> Response:
    """The ready-made journeys, or the form with one of them, with a copy, or with nothing."""
    console: Console = request.app.state.console
    parameters = request.query_params
    require_known(parameters, ("example", "from", *FRAME_PARAMETERS))
    if original := parameters.get("from", ""):
        content = version_contents(shop_of(request), JOURNEY, original)[0].content
        return _form(request, fields_of(content) | {"name": ""})
    example = parameters.get("example")
    if example is None:
        return console.page(
            request, "outreach/journey_examples.html", here="journeys", twin="/api/journeys", examples=EXAMPLES
        )
    return _form(request, _fields_of_example(request, example), example=example)


def _fields_of_example(request: Request, name: str) -> Fields:
    """Fields of a ready-made journey; without a name those of an empty one. Raises NotFound."""
    zone = ZoneInfo(shop_of(request).settings.shop.time_zone)
    locale = shop_of(request).settings.shop.locale
    text = journey_text(name or "abandoned_cart", datetime.now(UTC).astimezone(zone), locale)
    content = Journey.of(tomllib.loads(text), where=name).model_dump(mode="json")
    if name:
        title = request.app.state.console.words(request).code("journey_example", name)
        return fields_of(content) | {"name": title}
    step = {"do": "send", "template": {locale: starting_template(locale)}}
    return fields_of(content) | {"name": "", "steps": json.dumps([step], ensure_ascii=False)}


@router.post("/journeys/new/segment")
@needs(Action.ACT, Area.SEGMENTS)
def save_example_segment(request: Request) -> Response:
    """Save the segment that a ready-made journey needs."""
    name = form_of(request).get("example", "")
    content = tomllib.loads(example_of(name).segment_file)
    save_segment(context_of(request), content)
    return RedirectResponse(f"/journeys/new?example={name}", 303)


@router.get("/journeys/{name}/edit")
@needs(Action.ACT, Area.CAMPAIGNS)
def edit(request: Request, name: str) -> Response:
    """The form with a version of a journey: the newest, or the one that is to be restored."""
    return _form(request, fields_of(chosen_version(request, JOURNEY, name)) | edited(request, JOURNEY, name))


@router.post("/journeys")
@needs(Action.ACT, Area.CAMPAIGNS)
def save(request: Request) -> Response:
    """Save the form as a draft."""
    fields = sent_fields(request)
    try:
        require_free(request, fields, [one.name for one in list_journeys(shop_of(request))])
        journey = Journey.of(content_of(fields, steps_of(request, fields)), where=fields["name"] or "journey")
        save_journey(context_of(request), journey, base=base_of(fields))
    except PatronError as error:
        return _form(request, fields, error=error)
    return after(JOURNEY, journey.name, "saved")


@router.post("/journeys/draft/message")
@needs(Action.ACT, Area.CAMPAIGNS)
def draft_message(request: Request) -> Response:
    """The message of one step of the form, alone: for the frame next to it."""
    fields = sent_fields(request)
    place, _, language = form_of(request).get("preview", "").partition(":")
    try:
        steps = steps_of(request, fields)
        number = bounded_integer(place, 0, MAX_STEPS)
        if number is None or number >= len(steps):
            raise BadJourney(NO_SUCH_STEP, where="steps")
        step = Send.model_validate(steps[number])
        message = sample_message(
            shop_of(request), step.template[language], language=language, offer=step.offer, now=datetime.now(UTC)
        )
    except PatronError as error:
        return refused_message(request, error)
    except (ValueError, KeyError):  # why: a step that is not written to its end
        return refused_message(request, BadJourney(NO_LANGUAGE, where=language))
    return message_page(message, is_text=False, subject=message.subject)


def steps_of(request: Request, fields: Fields) -> list[Any]:
    """The steps of a form. Raises BadJourney for what is not JSON."""
    texts = request.app.state.console.words(request)
    try:
        steps = parse_json(fields["steps"][:MAX_STEPS_LENGTH])
    except ValueError as error:
        raise BadJourney(texts("journeys.form.not_json", what=str(error)), where="steps") from error
    return steps if isinstance(steps, list) else [steps]


def sent_fields(request: Request) -> Fields:
    """Fields of the form that was sent."""
    form = form_of(request)
    names = (*SETTINGS, "of", "version", "holdout", "reenter_after_days", "start", "end", "steps", "exit_on", "kind")
    fields: Fields = {name: form.get(name, "").strip() for name in names}
    return fields | {"trigger": {name: value.strip() for name, value in form.items() if name.startswith("trigger_")}}


def content_of(fields: Fields, steps: list[Any]) -> dict[str, Any]:
    """The content of a journey file from the fields of a form; what is wrong with it is found when it is read."""
    content = {name: fields[name] for name in SETTINGS}
    content |= {"holdout_share": share_of(fields["holdout"]), "exit_on": _lines(fields["exit_on"]), "steps": steps}
    content |= {name: fields[name] for name in ("reenter_after_days", "start", "end") if fields[name]}
    return content | {"trigger": _trigger(fields["kind"], fields["trigger"])}


def _trigger(kind: str, sent: Mapping[str, str]) -> dict[str, Any]:
    """A trigger from the fields of its kind."""
    value = {name.removeprefix("trigger_"): text for name, text in sent.items()}
    if kind == "event":
        is_first = bool(value.get("first"))
        return {"event": value.get("event", ""), "is_first": is_first, "segment": value.get("segment", "")}
    if kind == "enters":
        return {"enters": value.get("enters", ""), "includes_members": bool(value.get("includes"))}
    if kind == "product":
        after_events = _lines(value.get("after", ""))
        trigger: dict[str, Any] = {"product": value.get("product", ""), "within_days": value.get("within_days", "")}
        return trigger | {"after": after_events, "least_share": share_of(value.get("least_share", ""))}
    return {"date": "birthday", "days_before": value.get("days_before", ""), "hour": value.get("hour", "")}


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def fields_of(content: Mapping[str, Any]) -> Fields:
    """Fields of a form from the content of a journey."""
    trigger = content["trigger"]
    product = ProductTrigger(product="price_drop")
    share = trigger.get("least_share", product.least_share)
    sent = {
        "event": trigger.get("event", "Product Added"),
        "first": "1" if trigger.get("is_first") else "",
        "segment": trigger.get("segment", ""),
        "enters": trigger.get("enters", ""),
        "includes": "1" if trigger.get("includes_members") else "",
        "product": trigger.get("product", "price_drop"),
        "after": "\n".join(trigger.get("after", product.after)),
        "within_days": trigger.get("within_days", product.within_days),
        "least_share": f"{share * 100:g}",
        "days_before": trigger.get("days_before", 0),
        "hour": trigger.get("hour", 9),
    }
    again = content["reenter_after_days"]
    return {
        **{name: content[name] for name in SETTINGS},
        "monthly_budget": f"{content['monthly_budget']:.2f}".removesuffix(".00"),
        "kind": next(kind for kind in KINDS if kind in trigger),
        "trigger": {f"trigger_{name}": value for name, value in sent.items()},
        "holdout": f"{content['holdout_share'] * 100:g}",
        "exit_on": "\n".join(content["exit_on"]),
        "reenter_after_days": "" if again is None else f"{again:g}",
        "steps": json.dumps(content["steps"], ensure_ascii=False, indent=1),
        **{name: str(content[name] or "")[:16] for name in ("start", "end")},
    }


def _form(request: Request, fields: Fields, *, error: PatronError | None = None, example: str = "") -> Response:
    console: Console = request.app.state.console
    shop = console.answers.shop
    texts = console.words(request)
    policy, locale = shop.policy, shop.settings.shop.locale
    segments = [line.name for line in list_segments(shop)]
    needed = example_of(example).segment[0] if example else ""
    editor = {
        "texts": {code: texts.texts[f"editor.{code}"] for code in EDITOR_TEXTS},
        "languages": [[fromkey, texts.code("language", fromkey)] for fromkey in dict.fromkeys((locale, *LOCALES))],
        "formats": [[format_, texts.code("campaign.format", format_)] for format_ in FORMATS],
        "channels": [
            ["", texts("editor.same_channel")],
            *([channel, texts.code("channel", channel)] for channel in CHANNELS),
        ],
        "offers": [
            ["", texts("editor.no_offer")],
            *([offer.id, texts.offer(offer.id, policy.offer_names)] for offer in policy.offers),
        ],
        "starter": starting_template(locale),
        "locale": locale,
    }
    trigger = fields["trigger"]
    segment = trigger.get("trigger_enters") or trigger.get("trigger_segment") or ""
    return form_page(
        *(request, JOURNEY, {**fields, "segment": segment, "exclude": ()}),
        error=error,
        form={"of": "", "version": "", **fields},
        trigger=dict.fromkeys(TRIGGER_FIELDS, "")
        | {name.removeprefix("trigger_"): value for name, value in trigger.items()},
        kinds=KINDS,
        segments=segments,
        missing_segment=needed if needed not in segments else "",
        example=example,
        events=segment_names(shop).events,
        editor=editor,
    )
