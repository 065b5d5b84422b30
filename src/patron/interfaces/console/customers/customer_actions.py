"""Actions for several customers at once: what is about to happen, and then that it happens."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.customers.customer_filters import CustomerFilters, read_filters
from patron.answers.customers.customer_list import CustomerQuery, find_customers, match_customers
from patron.answers.customers.customer_marks import list_staff, list_tags
from patron.answers.customers.list_access import ListAccess
from patron.commands.customers.create_task_batch import BY_REASON, create_task_batch
from patron.commands.customers.customer_work import (
    MAX_CUSTOMERS,
    SNOOZE_REASONS,
    TaskDraft,
    add_tag,
    assign_owner,
    create_tasks,
    end_snooze,
    remove_tag,
    snooze,
)
from patron.commands.outreach.messages.message_reach import reach_of_customers
from patron.commands.segments.save_tag_segment import save_tag_segment
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.customers.customer_options import OPTIONS
from patron.interfaces.console.customers.customer_pages import filters_of, names_of
from patron.interfaces.console.page_frame import Console
from patron.interfaces.console.segments.segment_pages import path_of
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, context_of, form_of, needs
from patron.interfaces.http.access.customer_scope import (
    require_visible,
    rows_of,
    visible_of,
)
from patron.interfaces.http.error_status import status_of
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.common_sentences import IT_IS_ONE_OF, RELOAD_PAGE
from patron.schema.errors import BadRequest, PatronError
from patron.schema.outreach.channels import CHANNELS
from patron.schema.sentences import Sentence
from patron.storage.customers.task_policy import PLAYBOOKS

IS_NO_ACTION = Sentence("is_no_action", "is not an action")
CHOOSES_NOBODY = Sentence("chooses_nobody", "chooses no customer")
CHOOSE_CUSTOMERS = Sentence("choose_customers", "Choose customers in the list.")
NO_ACTION = Sentence("no_action", "{name!r} is not an action")
IS_NOT_A_DAY = Sentence("is_not_a_day", "is not a day")
CHOOSE_DAY = Sentence("choose_day", "Choose a day.")

router = APIRouter(route_class=GuardedRoute)
SEGMENT, CAMPAIGN = "segment", "campaign"
ACTIONS = ("tag", "untag", "owner", "task", "snooze", "unsnooze", SEGMENT, CAMPAIGN)
RIGHTS = {
    SEGMENT: (Right(Action.ACT, Area.SEGMENTS),),
    CAMPAIGN: (Right(Action.ACT, Area.SEGMENTS), Right(Action.ACT, Area.CAMPAIGNS)),
}
"""Rights that an action needs next to that to work with customers."""
MESSAGE = ("message_channel", "message_topic")
"""Parameters of how the customers of a campaign are written to; `channel` is a filter of the list."""
BACK = ("/customers", "/watch-list", "/tasks")
"""Pages that an action returns to."""
SNOOZE_DAYS = 30
"""How long a snooze lasts unless another day is chosen."""
NAMED = 5
"""Customers whom the page names."""


@router.get("/customers/act")
@needs(Action.ACT, Area.CUSTOMERS)
def prepare(request: Request) -> Response:
    """What is about to happen, and to whom."""
    parameters = request.query_params
    filters = filters_of(request, "do", "id", "everything", "back", *MESSAGE)
    chosen = [] if parameters.get("everything") else parameters.getlist("id")
    if not chosen and not parameters.get("everything"):
        return RedirectResponse(_back(parameters.get("back", "")), 303)
    return _prepare(request, parameters, chosen, filters)


def _prepare(
    request: Request,
    fields: Mapping[str, str],
    chosen: Sequence[str],
    filters: CustomerFilters,
    error: PatronError | None = None,
) -> Response:
    """The page before an action, also with what is wrong with its form."""
    action, back = fields.get("do", ""), fields.get("back", "")
    if action not in ACTIONS:
        raise BadRequest(422, IS_NO_ACTION, where="do", todo=IT_IS_ONE_OF(choices=", ".join(ACTIONS)))
    _require_rights(request, action)
    console: Console = request.app.state.console
    shop, access = console.answers.shop, ListAccess(context_of(request))
    shop.reload_settings()
    among = access.chosen(chosen) if chosen else access.among
    query = CustomerQuery() if chosen else filters.query(shop.settings.shop.time_zone)
    listing = find_customers(shop, query, index=access.index, among=among, bought=access.bought)
    first = [row.customer_id for row in listing.rows[:NAMED]]
    return console.page(
        request,
        "customers/customer_action.html",
        here="watch_list" if back.startswith("/watch-list") else "customers",
        status=status_of(error) if error else 200,
        fragments={"chosen-reach": "outreach/_chosen_reach.html"},
        action=action,
        error=error,
        segment_name=fields.get("name", ""),
        **(_message_facts(request, fields, chosen or _everybody(access, filters)) if action == CAMPAIGN else {}),
        count=min(listing.total_count, MAX_CUSTOMERS),
        total=listing.total_count,
        listing=listing,
        first=first,
        contacts=names_of(request, first),
        chosen=chosen,
        kept="" if chosen else filters.address(""),
        filters=filters,
        back=_back(back),
        tags=list_tags(shop, only=rows_of(visible_of(request))),
        staff=list_staff(shop),
        playbooks=(*PLAYBOOKS, *([BY_REASON] if shop.policy.tasks.playbooks and listing.total_count > 1 else [])),
        task_policy=shop.policy.tasks,
        snooze_reasons=SNOOZE_REASONS,
        until=(datetime.now(UTC) + timedelta(days=SNOOZE_DAYS)).date().isoformat(),
        **OPTIONS,
    )


@router.post("/customers/act")
@needs(Action.ACT, Area.CUSTOMERS)
def act(request: Request) -> Response:
    """Do it, and return to the list."""
    form = form_of(request)
    picked = [str(value) for value in request.state.form.getlist("id")]
    access = ListAccess(context_of(request))
    if not picked and "kept" not in form:
        raise BadRequest(422, CHOOSES_NOBODY, where="id", todo=CHOOSE_CUSTOMERS)
    filters = read_filters(dict(parse_qsl(form.get("kept", "").removeprefix("?"))))
    chosen = picked or _everybody(access, filters)
    require_visible(request, chosen)
    if form.get("do") in RIGHTS:
        try:
            return _make_segment(request, form, chosen)
        except PatronError as error:
            return _prepare(request, form, picked, filters, error)
    done = carry_out(request, form, chosen, access)
    return RedirectResponse(with_done(_back(form.get("back", "")), *done), 303)


def _require_rights(request: Request, action: str) -> None:
    for right in RIGHTS.get(action, ()):
        actor_of(request).require(right)


def _message_facts(request: Request, fields: Mapping[str, str], ids: Sequence[str]) -> dict[str, Any]:
    """How customers may be written to, and how many of them."""
    console: Console = request.app.state.console
    shop, texts = console.answers.shop, console.words(request)
    channel, topic = (fields.get(name, "") for name in MESSAGE)
    channel = channel if channel in CHANNELS else next(iter(CHANNELS))
    topic = topic if topic in shop.policy.topics else next(iter(shop.policy.topics), "")
    reach, reach_error = None, ""
    try:
        reach = reach_of_customers(shop, ids, channel=channel, topic=topic, now=datetime.now(UTC))
    except PatronError:
        reach_error = texts("reach.unknown")
    return {
        "reach": reach,
        "reach_error": reach_error,
        "message_channel": channel,
        "message_topic": topic,
        "message_channels": [(code, texts.code("channel", code)) for code in CHANNELS],
        "message_topics": [(code, one.name(texts.locale)) for code, one in shop.policy.topics.items()],
    }


def _make_segment(request: Request, form: Mapping[str, str], ids: Sequence[str]) -> Response:
    """Make a segment of customers, and show it or open the form of a campaign. Raises BadRequest, BadSegment."""
    action, name = form["do"], form.get("name", "")
    _require_rights(request, action)
    made = save_tag_segment(context_of(request), ids, name)
    if action == SEGMENT:
        return RedirectResponse(f"{path_of(made.name)}?done=saved", 303)
    message = zip(("channel", "topic"), (form.get(one, "") for one in MESSAGE), strict=True)
    return RedirectResponse(f"/campaigns/new?{urlencode({'segment': made.name, **dict(message)})}", 303)


def carry_out(
    request: Request, form: Mapping[str, str], ids: Sequence[str], access: ListAccess
) -> tuple[str, *tuple[int, ...]]:
    """Take one action for customers: what was done, and to how many. Raises BadRequest, NotFound.

    Of several customers some are held out of tasks, whose number follows; one customer's task is by hand.
    """
    context = context_of(request)
    match form.get("do", ""):
        case "tag" | "untag" as action:
            tag = form.get("tag", "")
            if action == "untag":
                return "untagged", remove_tag(context, ids, tag)
            return "tagged", add_tag(context, ids, tag)
        case "owner":
            return "assigned", assign_owner(context, ids, form.get("owner", ""))
        case "task":
            return "tasks", *_create_tasks(context, form, ids, access)
        case "snooze":
            until = day_end(form.get("until", ""), context.shop.settings.shop.time_zone)
            if until is None:
                raise BadRequest(422, IS_NOT_A_DAY, where="until", todo=CHOOSE_DAY)
            return "snoozed", snooze(context, ids, until=until, reason=form.get("reason", ""))
        case "unsnooze":
            return "unsnoozed", end_snooze(context, ids)
        case other:
            raise BadRequest(422, NO_ACTION(name=other[:40]), where="do", todo=RELOAD_PAGE)


def _create_tasks(
    context: RequestContext, form: Mapping[str, str], ids: Sequence[str], access: ListAccess
) -> tuple[int, ...]:
    """Number of tasks; of several customers also of those who are held out, and of the shop's control group."""
    due_at = day_end(form.get("due", ""), context.shop.settings.shop.time_zone)
    draft = TaskDraft(form.get("playbook", ""), form.get("text", ""), form.get("owner", ""), due_at)
    values = values_at_risk(access, ids)
    if len(ids) == 1:
        return (len(create_tasks(context, ids, draft, values_at_risk=values)),)
    batch = create_task_batch(context, ids, draft, values_at_risk=values)
    return len(batch.task_ids), batch.held_out_count, batch.control_count


def day_end(text: str, time_zone: str) -> datetime | None:
    """The end of a day in the shop's time zone; None for what is no day."""
    try:
        return datetime.combine(date.fromisoformat(text), time(23, 59, 59), ZoneInfo(time_zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def values_at_risk(access: ListAccess, ids: Sequence[str]) -> dict[str, float | None]:
    """Values at risk of customers at the last run, as the watch list has them."""
    index = access.index
    rows = (index.row(position) for position in index.positions(ids).tolist())
    return {row["customer_id"]: row["value_at_risk_cents"] for row in rows}


def with_done(path: str, code: str, *counts: int) -> str:
    """Address of the page that says what was done."""
    return f"{path}{'&' if '?' in path else '?'}done={code}-{'.'.join(str(count) for count in counts)}"


def _back(path: str) -> str:
    """A page of ours to return to, without what was done before."""
    parts = urlsplit(path)
    is_ours = not parts.scheme and not parts.netloc and parts.path in BACK
    if not is_ours:
        return BACK[0]
    kept = "&".join(part for part in parts.query.split("&") if part and not part.startswith("done="))
    return f"{parts.path}?{kept}" if kept else parts.path


def _everybody(access: ListAccess, filters: CustomerFilters) -> list[str]:
    shop = access.cache.shop
    query = filters.query(shop.settings.shop.time_zone)
    matching = match_customers(shop, query, index=access.index, among=access.among, bought=access.bought)
    return list(matching.customer_ids(MAX_CUSTOMERS))
