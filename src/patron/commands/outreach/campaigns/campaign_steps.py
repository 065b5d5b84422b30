"""Steps of what is saved in versions, each with its entry in the audit log: save, plan, approve, pause, withdraw ..."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from pydantic import Field

from patron.commands.access.actors import is_in_any_hand, is_second_person
from patron.commands.outreach.campaigns.offers_of_run import taken_over
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import CAMPAIGN_OVER, LATER_DATES, ONE_LINE_MOST, ONE_LINE_NO_PERSONAL, THERE_IS
from patron.schema.errors import PatronError
from patron.schema.outreach.draft_name import DraftName
from patron.schema.sentences import Sentence
from patron.schema.spelling import did_you_mean
from patron.storage.outreach.approved_terms import Terms, changed_terms, digest_of, terms_today
from patron.storage.outreach.journey_file import Journey
from patron.storage.outreach.pending_approvals import pending_approval, terms_to_approve
from patron.storage.outreach.versioned_drafts import (
    LOOK_THEN_REPEAT,
    PAUSE_FIRST,
    PLANNED,
    VERSION_NOT_NEWEST,
    Content,
    SavedVersion,
    VersionedDrafts,
    lock_campaigns,
    person,
)
from patron.storage.segments.segment_definitions import history as segment_history
from patron.storage.shop import Shop

APPROVE_OWN = Sentence("approve_own", "{author} wrote version {version} of {name!r} and cannot approve it")
ASK_OTHER_APPROVER = Sentence(
    "ask_other_approver",
    'Ask somebody else, who names themselves with --as "NAME"; [campaigns] of policy.toml can waive it.',
)
APPROVE_KEY_AUTHOR = Sentence(
    "approve_key_author", "version {version} of {name!r} was saved by {author}, a key that anybody may hold"
)
SAVE_AS_PERSON = Sentence(
    "save_as_person",
    "Save it again as a person, or by a key that a person made in Settings; then another person approves it.",
)
APPROVE_BY_KEY = Sentence(
    "approve_by_key", "{author} cannot approve {name!r}: anybody may hold this key, its author too"
)
APPROVE_IN_CONSOLE = Sentence(
    "approve_in_console", "Approve it in the console, or by a key that a person made in Settings."
)
APPROVE_OWN_RULE = Sentence(
    "approve_own_rule", "{author} changed the segment {segment!r}, which {name!r} uses, and cannot approve it"
)
PLAN_OUTDATED = Sentence("plan_outdated", "{names} changed since {name!r} was planned")
PLAN_ANEW = Sentence("plan_anew", "Plan it again, and look at what that changes: `patron {kind} plan`.")
PLAN_NOT_NEWEST = Sentence("plan_not_newest", "{name!r} was planned again since you looked at it")
TERMS_NOT_NEWEST = Sentence("terms_not_newest", "what an approval of {name!r} covers changed since you looked at it")
RECIPIENTS_CHOSEN = Sentence("recipients_chosen", "{name!r} was planned by earlier rules of {names}")

APPROVALS = ("approved", "reapproved")
"""Steps by which a person approves."""
MAX_REASON_LENGTH = 300
Reason = Annotated[str, Field(max_length=MAX_REASON_LENGTH)]
ApprovedTerms = Annotated[
    str,
    Field(max_length=64, description="`digest` of the `pending` approval that was looked at; refused after a change."),
]
ApprovedPlan = Annotated[
    str,
    Field(max_length=64, description="`planned_at` of the `plan` that was looked at; refused after another one."),
]
BaseVersion = Annotated[
    int | None,
    Field(ge=0, description="Version that was changed, 0 for a new one; refused where another one was saved since."),
]
ApprovedVersion = Annotated[
    int | None, Field(ge=1, description="Version that is approved; refused where another one was saved since.")
]


def save(
    context: RequestContext,
    connection: sa.Connection,
    kind: VersionedDrafts[Content],
    content: Content,
    base: int | None = None,
) -> SavedVersion[Content]:
    """Save a new version as a draft, and record that; an unchanged one stays. Raises as VersionedDrafts.save does."""
    saved = kind.save(connection, content, context.by, context.now, base=base)
    if (saved.saved_at, saved.steps[-1].step) == (context.now, "saved"):
        details = {kind.kind: saved.name, "version": saved.version}
        context.record(connection, AuditAction(f"{kind.kind} saved"), details)
    return saved


def approve(
    context: RequestContext,
    kind: VersionedDrafts[Content],
    name: str,
    *,
    version: int | None = None,
    planned_at: str = "",
    terms: str = "",
) -> SavedVersion[Content]:
    """Approve the plan of the newest version of a campaign or a journey, or what changed since it was approved.

    `version` says which version that is, `planned_at` which plan of it, and `terms` the digest of what changed. The
    step has the terms under which it is sent from then on (`approved_terms`).
    Raises the kind's problem where another version was saved, it was planned again or something else changed since,
    unless surely another person approves than who wrote version and rules or the budget is below the policy's
    `approval_free_below`, for one that is over, and in a wrong state.
    """
    shop = context.shop
    shop.reload_settings()
    saved = kind.saved_in(shop.store, name)
    require_newest(kind, saved, version)
    plan = saved.last("planned")
    planned = plan.details if plan else {}
    if planned_at and planned.get("planned_at") != planned_at:
        raise _planned_again(kind, name)
    wanted = terms_to_approve(saved, terms_today(shop, saved.content))
    # why first: what is checked below is what is pinned, whoever edits something meanwhile
    if saved.content.budget >= shop.policy.campaigns.approval_free_below:
        _require_second_person(kind, saved, person(context.by))
        _require_no_own_rule(shop, kind, saved, context.by)
    require_not_over(shop, kind, saved, context.now)
    if terms and terms != digest_of(wanted):
        raise kind.problem(TERMS_NOT_NEWEST(name=name), where=kind.kind, todo=LOOK_THEN_REPEAT(kind=kind.kind))
    pending = pending_approval(shop, saved)
    if pending is None:
        kind.require(saved, "approved")
        require_same_terms(kind, saved, planned.get("terms", wanted), wanted)
        details = {"policy_version": planned.get("policy_version", ""), "terms": planned.get("terms", wanted)}
        with taken_over(context, saved) as give_offers:
            return record_step(context, kind, saved, "approved", details=details, also=give_offers)
    if not (pending.changes or pending.held):
        names = ", ".join(change.name for change in pending.unplanned)
        raise kind.problem(RECIPIENTS_CHOSEN(name=name, names=names), where="segment", todo=PAUSE_FIRST)
    details = {"policy_version": shop.policy.version, "terms": wanted}
    return record_step(context, kind, saved, "reapproved", details=details)


def _planned_again(kind: VersionedDrafts[Any], name: str) -> PatronError:
    return kind.problem(PLAN_NOT_NEWEST(name=name), where=kind.kind, todo=LOOK_THEN_REPEAT(kind=kind.kind))


def require_same_terms(kind: VersionedDrafts[Any], saved: SavedVersion[Any], before: Terms, after: Terms) -> None:
    """Raise the kind's problem where what decides who is sent what changed since a plan was begun."""
    if changes := changed_terms(before, after):
        names = ", ".join(dict.fromkeys(change.name or f"[{change.section}]" for change in changes))
        what, todo = PLAN_OUTDATED(name=saved.name, names=names), PLAN_ANEW(kind=kind.kind)
        raise kind.problem(what, where=kind.kind, todo=todo)


def rule_authors(shop: Shop, saved: SavedVersion[Any]) -> dict[str, str]:
    """Who changed the segments that one uses since its version was saved or approved; their segment by author."""
    approved = [one.taken_at for one in saved.steps if one.step in APPROVALS and one.version == saved.version]
    if approved and saved.state != PLANNED and not isinstance(saved.content, Journey):
        return {}  # why: its plan has chosen whom it writes to
    since = max(approved, default=saved.saved_at)
    within = terms_today(shop, saved.content)["segments"]
    changes = (one for name in within for one in segment_history(shop.store, name))
    return {one.saved_by: one.name for one in changes if one.saved_at > since}


def _require_no_own_rule(shop: Shop, kind: VersionedDrafts[Any], saved: SavedVersion[Any], by: str) -> None:
    """Raise the kind's problem unless surely another person approves than who changed a segment since."""
    for author, segment in rule_authors(shop, saved).items():
        if not is_second_person(by, author):
            what = APPROVE_OWN_RULE(author=author, segment=segment, name=saved.name)
            raise kind.problem(what, where="--as", todo=ASK_OTHER_APPROVER)


def _require_second_person(kind: VersionedDrafts[Any], saved: SavedVersion[Any], by: str) -> None:
    """Raise the kind's problem unless surely another person approves than the author."""
    if is_second_person(by, saved.saved_by):
        return
    what = APPROVE_OWN(author=saved.saved_by, version=saved.version, name=saved.name)
    todo = ASK_OTHER_APPROVER
    if is_in_any_hand(saved.saved_by):
        what = APPROVE_KEY_AUTHOR(author=saved.saved_by, version=saved.version, name=saved.name)
        todo = SAVE_AS_PERSON
    elif is_in_any_hand(by):
        what = APPROVE_BY_KEY(author=by, name=saved.name)
        todo = APPROVE_IN_CONSOLE
    raise kind.problem(what, where="--as", todo=todo)


def require_not_over(shop: Shop, kind: VersionedDrafts[Any], saved: SavedVersion[Any], now: datetime) -> None:
    """Raise the kind's problem where the end has come."""
    end = saved.end_at(shop_zone(shop))
    if end is not None and end <= now:
        todo = LATER_DATES
        raise kind.problem(CAMPAIGN_OVER(name=saved.name, end=saved.content.end), where="end", todo=todo)


def require_known(
    kind: VersionedDrafts[Any],
    unknown: Sentence,
    names: Iterable[tuple[str, str]],
    known: Iterable[str],
    todo: str = "",
) -> None:
    """Refuse the first name that is not known, as the kind does; `names` are pairs of where one stands and the name."""
    listed = tuple(known)
    for where, name in names:
        if name not in listed:
            hint = did_you_mean(name, listed) or todo or THERE_IS(names=", ".join(listed) or "none")
            raise kind.problem(unknown(name=name), where=where, todo=hint)


def require_newest(kind: VersionedDrafts[Any], saved: SavedVersion[Any], version: int | None) -> None:
    """Raise the kind's problem where a version is not the newest one; None stands for that."""
    if version is not None and version != saved.version:
        what = VERSION_NOT_NEWEST(version=version, name=saved.name, author=saved.saved_by, newest=saved.version)
        todo = LOOK_THEN_REPEAT(kind=kind.kind)
        raise kind.problem(what, where=kind.kind, todo=todo)


def take_step(
    context: RequestContext, kind: VersionedDrafts[Content], name: str, step: str, *, reason: str = ""
) -> SavedVersion[Content]:
    """Take a step of the newest version of a campaign or a journey. Raises the kind's problem, NotFound.

    paused: nobody enters and nothing is sent for now, what is being handed over is finished; resumed: go on where it
    was stopped; withdrawn: stop for good, and what was sent stays on record.
    """
    saved = kind.saved_in(context.shop.store, name)
    return record_step(context, kind, saved, step, details=_reason(kind, reason))


def reopen(context: RequestContext, kind: VersionedDrafts[Any], saved: SavedVersion[Any]) -> None:
    """Make a draft of what is planned or approved, while another plan is written. Raises the kind's problem."""
    with context.shop.store.begin() as connection:
        kind.take_step(connection, saved.name, "reopened", saved.version, context.by, context.now)


def shop_zone(shop: Shop) -> ZoneInfo:
    """The shop's time zone."""
    return ZoneInfo(shop.settings.shop.time_zone)


def record_step(
    context: RequestContext,
    kind: VersionedDrafts[Content],
    saved: SavedVersion[Content],
    step: str,
    *,
    details: Mapping[str, Any],
    also: Callable[[sa.Connection], None] | None = None,
    **audited: object,
) -> SavedVersion[Content]:
    """Take a step of a version with what it found, and write it into the audit log with what else is `audited`.

    What is `also` to be kept is written in the same transaction.
    Raises the kind's problem where the state does not allow it, for an approval also where it was planned meanwhile.
    """
    with context.shop.store.begin() as connection:
        lock_campaigns(connection)
        if step in APPROVALS and kind.saved(connection, saved.name).last("planned") != saved.last("planned"):
            raise _planned_again(kind, saved.name)
        after = kind.take_step(connection, saved.name, step, saved.version, context.by, context.now, details)
        entry = {kind.kind: after.name, "version": after.version} | audited
        context.record(connection, AuditAction(f"{kind.kind} {step}"), entry)
        if also:
            also(connection)
    return after


def _reason(kind: VersionedDrafts[Any], text: str) -> dict[str, str]:
    """A line that says why. Raises the kind's problem for one that is too long or not printable."""
    line = text.strip()
    if line and (not line.isprintable() or len(line) > MAX_REASON_LENGTH):
        what = ONE_LINE_MOST(count=MAX_REASON_LENGTH)
        raise kind.problem(what, where="--reason", todo=ONE_LINE_NO_PERSONAL)
    return {"reason": line} if line else {}


@dataclass(frozen=True)
class VersionState:
    """A campaign or a journey after a step."""

    name: str
    version: int
    state: str

    @classmethod
    def from_version(cls, saved: SavedVersion[Any]) -> Self:
        """The state of what is saved."""
        return cls(saved.name, saved.version, saved.state)


def life_operations(kind: VersionedDrafts[Any]) -> tuple[Callable[..., VersionState], ...]:
    """The steps that people take with a planned campaign or journey, as operations."""
    word = kind.kind

    def step(does: Callable[..., VersionState], taken: str, action: Action = Action.ACT) -> Callable[..., VersionState]:
        verb = does.__name__
        does.__name__ = f"{verb}_{word}"
        declare = operation(
            Right(action, Area.CAMPAIGNS),
            f"POST /api/{word}s/{{name}}/{verb}",
            audit=AuditAction(f"{word} {taken}"),
            name_field="by",
        )
        return declare(does)

    def after(context: RequestContext, name: str, taken: str, reason: str = "") -> VersionState:
        return VersionState.from_version(take_step(context, kind, name, taken, reason=reason))

    def approve_version(
        context: RequestContext,
        name: DraftName,
        version: ApprovedVersion = None,
        planned_at: ApprovedPlan = "",
        terms: ApprovedTerms = "",
    ) -> VersionState:
        """Approve a plan, or what changed since it was approved; the author cannot."""
        after = approve(context, kind, name, version=version, planned_at=planned_at, terms=terms)
        return VersionState.from_version(after)

    def pause(context: RequestContext, name: DraftName, reason: Reason = "") -> VersionState:
        """Stop sending for now."""
        return after(context, name, "paused", reason)

    def resume(context: RequestContext, name: DraftName) -> VersionState:
        """Go on where it was stopped."""
        return after(context, name, "resumed")

    def withdraw(context: RequestContext, name: DraftName, reason: Reason = "") -> VersionState:
        """Stop for good; what was sent stays on record."""
        return after(context, name, "withdrawn", reason)

    approve_version.__name__ = "approve"
    return (
        step(approve_version, "approved", Action.APPROVE),
        step(pause, "paused"),
        step(resume, "resumed"),
        step(withdraw, "withdrawn"),
    )
