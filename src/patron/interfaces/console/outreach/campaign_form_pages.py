"""The form of a campaign: its fields, a segment that is built within it, and its message as it is read."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.outreach.campaign_list import list_campaigns, version_contents
from patron.answers.segments.saved_segments import list_segments
from patron.commands.outreach.campaigns.offers_of_run import offers_of_run, require_reserved
from patron.commands.outreach.campaigns.save_campaign import save_campaign
from patron.commands.outreach.messages.message_reach import MessageReach, message_reach, reach_of_run
from patron.commands.outreach.messages.sample_message import sample_message
from patron.commands.segments.save_segment import save_segment
from patron.interfaces.console.outreach.engagement_pages import (
    after,
    chosen_version,
    engagement_texts,
    framing,
    message_page,
    path_of,
    refused_message,
    shop_of,
)
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.console.segments.rule_options import builder_options
from patron.interfaces.console.segments.segment_pages import EVERYBODY, parsed_rule
from patron.interfaces.http.access.access_control import (
    GuardedRoute,
    actor_of,
    context_of,
    form_of,
    needs,
)
from patron.interfaces.http.access.customer_scope import rows_of, visible_of
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.translations import Words, choose_locale, words
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.common_sentences import NO_LANGUAGE
from patron.schema.errors import BadCampaign, EditConflict, NoRunYet, PatronError
from patron.schema.json_texts import parse_json
from patron.schema.list_pages import MAX_COUNT
from patron.schema.outreach.channels import CHANNELS
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.versioned_drafts import IS_OVER, VersionedDrafts
from patron.storage.shop import Shop

router = APIRouter(route_class=GuardedRoute)
GOALS = ("profit", "orders", "reactivated")
FORMATS = ("mjml", "html", "text")
DAYS = 14
HEADROOM = 1.2
"""Budget of a run's offers over what they are expected to cost: that is looked at again when they are planned."""
STARTER = """\
<mjml>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text>{}</mj-text>
        <mj-text>{}</mj-text>
        <mj-text font-size="11px">
          <a href="{{{{ unsubscribe_url }}}}">{}</a> | <a href="{{{{ preferences_url }}}}">{}</a>
        </mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""
"""Body of a message to start from."""
Fields = dict[str, Any]
"""Values of the form's fields: texts, and lists of texts of those that may have several."""


@router.get("/campaigns/new")
@needs(Action.ACT, Area.CAMPAIGNS)
def new_campaign(request: Request) -> Response:
    """The form of a new campaign, or of a copy of one."""
    parameters = request.query_params
    require_known(
        parameters, ("segment", "run", "channel", "topic", "exclude", "offers", "campaign", "from", *FRAME_PARAMETERS)
    )
    if original := parameters.get("from", ""):
        fields = fields_of(version_contents(shop_of(request), CAMPAIGN, original)[0].content)
        return _form(request, fields | {"name": ""})
    chosen = {name: parameters[name] for name in ("segment", "channel", "topic", "campaign") if name in parameters}
    several = {name: parameters.getlist(name) for name in ("exclude", "offers") if name in parameters}
    run_id, lines = parameters.get("run", ""), list_campaigns(shop_of(request))
    begun = [one.name for one in lines if run_id and one.run == run_id and one.state not in IS_OVER]
    if begun and "x-part" not in request.headers:
        return RedirectResponse(path_of(CAMPAIGN, begun[0]), 303)
    fields = _fresh(request) | _of_run(request, run_id) | chosen | several
    try:
        if run_id:
            require_reserved(shop_of(request), run_id)
    except BadCampaign as error:
        return _form(request, fields, error=error)
    return _form(request, fields)


@router.get("/campaigns/{name}/edit")
@needs(Action.ACT, Area.CAMPAIGNS)
def edit(request: Request, name: str) -> Response:
    """The form with a version of a campaign: the newest, or the one that is to be restored."""
    return _form(request, fields_of(chosen_version(request, CAMPAIGN, name)) | edited(request, CAMPAIGN, name))


@router.post("/campaigns")
@needs(Action.ACT, Area.CAMPAIGNS)
def save(request: Request) -> Response:
    """Save the form as a draft."""
    fields = sent_fields(request)
    try:
        require_free(request, fields, [one.name for one in list_campaigns(shop_of(request))])
        campaign = Campaign.of(content_of(fields), where=fields["name"] or "campaign")
        save_campaign(context_of(request), campaign, base=base_of(fields))
    except PatronError as error:
        return _form(request, fields, error=error)
    return after(CAMPAIGN, campaign.name, "saved")


@router.post("/campaigns/draft/segment")
@needs(Action.ACT, Area.CAMPAIGNS)  # why: the form that answers counts whom a message reaches, of the whole shop
def save_new_segment(request: Request) -> Response:
    """Save the segment that was built in the form, and choose it; the rest of the form stays as it was."""
    actor_of(request).require(Right(Action.ACT, Area.SEGMENTS))
    fields = sent_fields(request)
    name = fields["segment_name"].strip()
    try:
        known = [line.name for line in list_segments(shop_of(request))]
        require_free(request, {"name": name, "of": ""}, known)
        content = {"name": name, "rule": parsed_rule(request, fields["rule"])}
        save_segment(context_of(request), content)
    except PatronError as error:
        return _form(request, fields, error=error)
    fresh = {"segment": name, "segment_name": "", "rule": json.dumps(EVERYBODY)}
    return _form(request, fields | fresh, saved_segment=name)


@router.post("/campaigns/draft/message")
@needs(Action.ACT, Area.CAMPAIGNS)
def draft_message(request: Request) -> Response:
    """The message of the form in one language, alone: for the frame next to it."""
    fields, shown = sent_fields(request), form_of(request).get("preview", "")
    language, _, way = shown.partition(":")
    try:
        template = Campaign.of(
            {**content_of(fields | {"name": fields["name"] or "-"}), **_placeholders(fields)}, where="campaign"
        ).template
        offer = next(iter(fields["offers"]), "")
        if language not in template:
            raise BadCampaign(NO_LANGUAGE, where=language)
        message = sample_message(
            shop_of(request), template[language], language=language, offer=offer, now=datetime.now(UTC)
        )
    except PatronError as error:
        return refused_message(request, error)
    return message_page(message, is_text=way == "text", subject=message.subject)


def _placeholders(fields: Fields) -> dict[str, Any]:
    """What a message does not depend on, so that it can be looked at before the rest of the form is complete."""
    return {
        "segment": fields["segment"] or ("" if fields["run"] else "-"),
        "budget": 0,
        "holdout_share": 0,
        "start": "2000-01-01T00:00:00",
        "end": "2000-01-02T00:00:00",
    }


def sent_fields(request: Request) -> Fields:
    """Fields of the form that was sent."""
    texts, form = form_of(request), request.state.form
    names = (
        "name",
        "of",
        "version",
        "goal",
        "segment",
        "run",
        "channel",
        "topic",
        "budget",
        "holdout",
        "start",
        "end",
        "expect",
    )
    fields: Fields = {name: texts.get(name, "").strip() for name in names}
    fields |= {name: [one for one in form.getlist(name) if isinstance(one, str)] for name in ("exclude", "offers")}
    fields |= {"segment_name": texts.get("segment_name", ""), "rule": texts.get("rule", "") or json.dumps(EVERYBODY)}
    return fields | {"templates": sent_templates(texts, "")}


def sent_templates(texts: Mapping[str, str], prefix: str) -> dict[str, dict[str, str]]:
    """Templates of a form by language: those that have a subject or a text."""
    listed = {name.removeprefix(f"{prefix}body_") for name in texts if name.startswith(f"{prefix}body_")}
    parts = ("subject", "format", "body")
    templates = {one: {part: texts.get(f"{prefix}{part}_{one}", "") for part in parts} for one in sorted(listed)}
    return {
        language: one | {"body": one["body"].replace("\r\n", "\n"), "subject": one["subject"].strip()}
        for language, one in templates.items()
        if one["subject"].strip() or one["body"].strip()
    }


def content_of(fields: Fields) -> dict[str, Any]:
    """The content of a campaign file from the fields of a form; what is wrong with it is found when it is read."""
    content = {name: fields[name] for name in ("name", "goal", "channel", "topic", "budget", "start", "end")}
    content |= {"run": fields["run"], "segment": "" if fields["run"] else fields["segment"]}
    content |= {"exclude": tuple(fields["exclude"]), "offers": tuple(fields["offers"]), "template": fields["templates"]}
    if fields["expect"]:
        content |= {"expect": _expected(fields["expect"])}
    return content | {"holdout_share": share_of(fields["holdout"])}


def _expected(text: str) -> Any:
    """What a form expects of a campaign; a text that is no JSON stays, so that it is refused with its name."""
    try:
        return parse_json(text)
    except ValueError:
        return text


def share_of(percent: str) -> float | str:
    """A share from a percentage; a text that is no number stays, so that it is refused with its name."""
    try:
        return float(percent) / 100
    except ValueError:
        return percent


def fields_of(content: Mapping[str, Any]) -> Fields:
    """Fields of a form from the content of a campaign."""
    names = ("name", "goal", "segment", "run", "channel", "topic", "exclude", "offers")
    fields: Fields = {name: content[name] for name in names}
    times = {name: str(content[name])[:16] for name in ("start", "end")}
    expect = json.dumps(content["expect"]) if content.get("expect") else ""
    return (
        fields
        | times
        | {
            "budget": f"{content['budget']:.2f}".removesuffix(".00"),
            "holdout": f"{content['holdout_share'] * 100:g}",
            "expect": expect,
            "templates": content["template"],
        }
    )


def edited(request: Request, drafts: VersionedDrafts[Any], name: str) -> Fields:
    """Fields that say what a form changes, and which version was the newest when it was opened."""
    return {"of": name, "version": drafts.saved_in(shop_of(request).store, name).version}


def base_of(fields: Mapping[str, Any]) -> int | None:
    """The version that a form changes: 0 for a new one, None where it does not say."""
    return bounded_integer(str(fields.get("version", "")), 1, MAX_COUNT) if fields["of"] else 0


def require_free(request: Request, fields: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse a new one with a name that there is, which would become a version of that one. Raises BadCampaign."""
    if fields["name"] in names and fields["of"] != fields["name"]:
        texts = request.app.state.console.words(request)
        what, todo = texts("campaigns.form.exists", name=fields["name"]), texts("campaigns.form.exists_todo")
        raise BadCampaign(what, where="name", todo=todo)


def starting_template(locale: str, about: str = "") -> dict[str, str]:
    """Subject and text to start from, in a language of customers; perhaps about the `offer` that they get."""
    texts, end = words(choose_locale(locale)), f"_{about}" if about else ""
    body = STARTER.format(*(texts(f"starter.{part}") for part in ("hello", f"text{end}", "leave", "topics")))
    return {"subject": texts(f"starter.subject{end}"), "format": "mjml", "body": body}


def _fresh(request: Request) -> Fields:
    """Fields of a new campaign: from tomorrow morning on, for two weeks."""
    settings, policy = shop_of(request).settings.shop, shop_of(request).policy
    morning = datetime.now(UTC).astimezone(ZoneInfo(settings.time_zone)).replace(hour=9, minute=0) + timedelta(days=1)
    return {
        "name": "",
        "goal": "profit",
        "segment": "",
        "run": "",
        "exclude": [],
        "channel": "email",
        "topic": next(iter(policy.topics), ""),
        "offers": [],
        "budget": "100",
        "holdout": "20",
        "start": f"{morning:%Y-%m-%dT%H:%M}",
        "end": f"{morning + timedelta(days=DAYS):%Y-%m-%dT%H:%M}",
        "expect": "",
        "templates": {settings.locale: starting_template(settings.locale)},
    }


def _of_run(request: Request, run_id: str) -> Fields:
    """Fields of a campaign that sends the offers of a run at once; nothing without a run. Raises NotFound, NoRunYet."""
    if not run_id:
        return {}
    console: Console = request.app.state.console
    shop, texts = console.answers.shop, console.words(request)
    of_run = offers_of_run(shop, run_id)
    start = datetime.now(UTC).astimezone(ZoneInfo(shop.settings.shop.time_zone))
    return {
        "name": texts("campaign.name_of_run", date=console.formats(texts).date(of_run.as_of)),
        "run": run_id,
        "topic": shop.policy.outbox_topic or next(iter(shop.policy.topics), ""),
        "offers": list(of_run.offers),
        "budget": str(ceil(of_run.cost_cents * HEADROOM / 100)),
        "templates": {shop.settings.shop.locale: starting_template(shop.settings.shop.locale, "offer")},
        "start": f"{start:%Y-%m-%dT%H:%M}",
        "end": f"{start + timedelta(days=DAYS):%Y-%m-%dT%H:%M}",
    }


def reach_of_form(shop: Shop, fields: Mapping[str, Any], texts: Words) -> tuple[MessageReach | None, str]:
    """Whom the message may go to, once segment and channel are chosen, or why that is not known."""
    run_id = fields.get("run", "")
    if not (fields["segment"] or run_id) or not fields["channel"]:
        return None, ""
    about = {name: fields[name] for name in ("channel", "topic", "exclude")}
    about |= {"offers": fields.get("offers", ()), "campaign": fields.get("of") or fields.get("campaign", "")}
    count = partial(reach_of_run, shop, run_id) if run_id else partial(message_reach, shop, fields["segment"])
    try:
        return count(**about, now=datetime.now(UTC)), ""
    except NoRunYet:
        return None, texts("reach.no_run")
    except PatronError:
        return None, texts("reach.unknown")


def form_page(
    request: Request, drafts: VersionedDrafts[Any], fields: Fields, *, error: PatronError | None, **facts: Any
) -> Response:
    """A form with what a kind shows in it; `fields` say whom its message may go to."""
    console: Console = request.app.state.console
    texts, shop = console.words(request), console.answers.shop
    reach, reach_error = reach_of_form(shop, fields, texts)
    answer = console.page(
        request,
        f"outreach/{drafts.kind}_form.html",
        reach=reach,
        reach_error=reach_error,
        here=f"{drafts.kind}s",
        twin=f"/api/{drafts.kind}s",
        status=status_of(error) if error else 200,
        channels=tuple(CHANNELS),
        topics=[(code, topic.name(texts.locale)) for code, topic in shop.policy.topics.items()],
        options=builder_options(console, texts, only=rows_of(visible_of(request))),
        zone=shop.settings.shop.time_zone,
        currency=shop.settings.shop.currency,
        error=error,
        newest=f"/{drafts.kind}s/{quote(fields['name'], safe='')}/edit" if isinstance(error, EditConflict) else "",
        **facts,
    )
    return framing(answer)


def _form(request: Request, fields: Fields, *, error: PatronError | None = None, saved_segment: str = "") -> Response:
    shop = shop_of(request)
    extra = {"of": "", "version": "", "segment_name": "", "rule": json.dumps(EVERYBODY)}
    return form_page(
        *(request, CAMPAIGN, fields),
        error=error,
        fragments={"reach": "outreach/campaign_reach.html"},
        form=extra | fields,
        templates={
            fromkey: fields["templates"].get(fromkey) for fromkey in dict.fromkeys((*fields["templates"], *LOCALES))
        },
        empty_template={"subject": "", "format": "mjml", "body": ""},
        segments=list_segments(shop, only=rows_of(visible_of(request))),
        goals=GOALS,
        formats=FORMATS,
        offers=[offer.id for offer in shop.policy.offers],
        saved_segment=saved_segment,
        write=engagement_texts(request),
    )
