"""A changed policy.toml, step by step: proposed, previewed, approved by another person, written; or dropped."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from patron.commands.access.actors import is_same_actor, is_second_person
from patron.commands.data.preview_run import preview_run
from patron.govern.access.request_context import RequestContext
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import NO_PROPOSAL, RELOAD_PAGE, SHORTEN
from patron.schema.errors import BadProposal, EditConflict, NotFound, PatronError, SettingsError
from patron.schema.progress import Progress, silent
from patron.schema.sentences import Sentence
from patron.storage.durable_files import write_durably
from patron.storage.offers.policy import Policy
from patron.storage.offers.proposal_tables import POLICY_PROPOSALS
from patron.storage.shop import Shop
from patron.storage.store.statements import lock_table
from patron.storage.toml_edit import Place, set_values
from patron.storage.workspace.workspace_files import POLICY_FILE

POLICY_CHANGED_SINCE = Sentence("policy_changed_since", "policy.toml was changed since the proposal was made")
POLICY_TOO_LONG = Sentence("policy_too_long", "the policy or the note is too long")
POLICY_SAME = Sentence("policy_same", "it is the same as the policy in force")
CHANGE_VALUE = Sentence("change_value", "Change a value.")
POLICY_CHANGED_MEANWHILE = Sentence("policy_changed_meanwhile", "policy.toml was changed while you edited it")
OPEN_POLICY_IN_FORCE = Sentence(
    "open_policy_in_force", "Open the policy in force, and make your change there. Nothing of yours was proposed."
)
PROPOSAL_NOT_APPROVED = Sentence("proposal_not_approved", "the proposal {number} was not approved")
CHOOSE_OTHER_ONE = Sentence("choose_other_one", "Choose another one.")
PROPOSAL_OWN = Sentence("proposal_own", "{name} made the proposal and cannot approve it")
OTHER_APPROVES = Sentence("other_approves", "Let somebody else approve it.")
LOOK_AND_PROPOSE = Sentence("look_and_propose", "Look at what it changes now, and propose it again.")
PROPOSAL_OF_OTHER = Sentence("proposal_of_other", "somebody else made the proposal")
REJECT_IF_MAY = Sentence("reject_if_may", "Reject it, if you may approve.")
PROPOSAL_DECIDED = Sentence("proposal_decided", "somebody else decided the proposal meanwhile")
PROPOSAL_STATE = Sentence("proposal_state", "the proposal {number} is {state}")
MAKE_ANOTHER = Sentence("make_another", "Make another one.")

LIST_PROPOSALS = Sentence("list_proposals", "List them with `patron policy history`.")

WHERE = "policy proposal"
PROPOSED = "proposed"
APPROVED = "approved"
REJECTED = "rejected"
WITHDRAWN = "withdrawn"
MAX_NOTE_LENGTH, MAX_CONTENT_LENGTH = 1_000, 200_000
RUNNING, DONE, FAILED = "running", "done", "failed"
"""States of a preview."""


def propose_policy(context: RequestContext, content: str, *, note: str = "", base_version: str = "") -> int:
    """Propose the text of a policy.toml in place of the one in force. Returns the number of the proposal.

    `base_version` is the policy that was changed. Raises EditConflict where it is not in force any more, BadProposal
    for a text that is not valid, or changes nothing.
    """
    context.shop.reload_settings()
    if base_version and base_version != context.shop.policy.version:
        raise EditConflict(POLICY_CHANGED_MEANWHILE, where=WHERE, todo=OPEN_POLICY_IN_FORCE)
    if len(content) > MAX_CONTENT_LENGTH or len(note) > MAX_NOTE_LENGTH:
        raise _refusal(POLICY_TOO_LONG, SHORTEN)
    try:
        policy = Policy.parse(content)
    except SettingsError as error:
        raise BadProposal(error.what, where="policy.toml", todo=error.todo) from error
    if policy.version == context.shop.policy.version:
        raise _refusal(POLICY_SAME, CHANGE_VALUE)
    with context.shop.store.begin() as connection:
        lock_table(connection, POLICY_PROPOSALS)
        number = (connection.scalar(sa.select(sa.func.max(POLICY_PROPOSALS.c.proposal_id))) or 0) + 1
        row = {
            "proposal_id": number,
            "base_version": context.shop.policy.version,
            "content": content,
            "note": note.strip(),
            "state": PROPOSED,
            "proposed_at": context.now,
            "proposed_by": context.by,
            "decided_by": "",
            "previous_content": "",
        }
        connection.execute(sa.insert(POLICY_PROPOSALS).values(row))
        details = {"proposal_id": number, "policy_version": policy.version}
        context.record(connection, AuditAction.POLICY_PROPOSED, details)
    return number


def propose_changes(
    context: RequestContext, changes: Mapping[Place, object], *, base_version: str, note: str = ""
) -> int:
    """Propose other values for the policy in force, whose text stays as it is in all else. Returns the number.

    `base_version` is the policy that the values were chosen on. Raises BadProposal, EditConflict.
    """
    context.shop.reload_settings()
    if base_version != context.shop.policy.version:
        raise EditConflict(POLICY_CHANGED_MEANWHILE, where=WHERE, todo=OPEN_POLICY_IN_FORCE)
    text = (context.shop.folder / POLICY_FILE).read_text(encoding="utf-8")
    try:
        content = set_values(text, changes)
    except SettingsError as error:
        raise BadProposal(error.what, where="policy.toml", todo=error.todo) from error
    return propose_policy(context, content, note=note)


def propose_restore(context: RequestContext, number: int, *, is_before: bool) -> int:
    """Propose what an earlier proposal held again, or what was in force before it was approved. Returns the number."""
    row = _row(context.shop, number)
    content = row["previous_content"] if is_before else row["content"]
    if not content:
        raise _refusal(PROPOSAL_NOT_APPROVED(number=number), CHOOSE_OTHER_ONE)
    return propose_policy(context, content, note=f"#{number}")


def approve_proposal(context: RequestContext, number: int) -> Policy:
    """Put a proposed policy in force: policy.toml is written, and what it held is kept with the proposal.

    Raises BadProposal for an own proposal and for one that was decided, EditConflict where policy.toml was changed
    since.
    """
    row = _proposal(context.shop, number)
    if not is_second_person(context.by, row["proposed_by"]):
        raise _refusal(PROPOSAL_OWN(name=row["proposed_by"]), OTHER_APPROVES)
    path = context.shop.folder / POLICY_FILE
    policy = Policy.parse(row["content"], path)
    with context.shop.store.begin() as connection:
        lock_table(connection, POLICY_PROPOSALS)  # why: of two that are approved at once, the second sees the first
        context.shop.reload_settings()
        if row["base_version"] != context.shop.policy.version:
            raise EditConflict(POLICY_CHANGED_SINCE, where=WHERE, todo=LOOK_AND_PROPOSE)
        previous = {"previous_content": path.read_text(encoding="utf-8")}
        _decide(connection, number, APPROVED, by=context.by, now=context.now, more=previous)
        details = {"proposal_id": number, "policy_version": policy.version}
        context.record(connection, AuditAction.POLICY_APPROVED, details)
        # why: last, and before the commit: a file that cannot be written leaves the proposal open
        write_durably(path, row["content"].encode())
    context.shop.reload_settings()
    return policy


def reject_proposal(context: RequestContext, number: int) -> None:
    """Reject a proposal. Raises BadProposal for one that was decided."""
    _drop(context, number, REJECTED)


def withdraw_proposal(context: RequestContext, number: int) -> None:
    """Take back an own proposal. Raises BadProposal for somebody else's, and for one that was decided."""
    if not is_same_actor(context.by, _proposal(context.shop, number)["proposed_by"]):
        raise _refusal(PROPOSAL_OF_OTHER, REJECT_IF_MAY)
    _drop(context, number, WITHDRAWN)


def begin_preview(shop: Shop, number: int, *, now: datetime) -> None:
    """Mark that a preview of a proposal is on its way. Raises BadProposal for one that was decided."""
    _proposal(shop, number)
    _keep_preview(shop, number, {"state": RUNNING, "started_at": now.isoformat()})


def preview_proposal(shop: Shop, number: int, *, now: datetime, progress: Progress = silent) -> None:
    """Keep with a proposal what the next run would decide with it, and with the policy in force; or why not.

    `progress` may raise a PatronError to end it.
    """
    result: dict[str, Any] = {"state": FAILED, "what": "it ended unexpectedly"}
    try:
        policy = Policy.parse(_proposal(shop, number)["content"])
        cutoff = now.replace(microsecond=0)
        candidate = _outcome(shop, cutoff, policy, now=now, progress=progress)
        today = _outcome(shop, cutoff, None, now=now, progress=progress)
        result = {"state": DONE, "as_of": cutoff.isoformat(), "candidate": candidate, "today": today}
    except PatronError as error:
        result = {"state": FAILED, "what": str(error), "text": error.said.plain()}
    finally:
        _keep_preview(shop, number, {"started_at": now.isoformat(), **result})


def _outcome(
    shop: Shop, cutoff: datetime, policy: Policy | None, *, now: datetime, progress: Progress
) -> dict[str, Any]:
    """What a run decides, by offer."""
    with preview_run(shop, cutoff, now=now, policy=policy, progress=progress) as (copy, run):
        rows = copy.newest_snapshot().query(
            "select action, count(*) as customer_count, sum(cost_cents) as cost_cents,"
            " sum(expected_net_value_cents) as net_value_cents from decisions where run_id = $run group by action"
            " order by action",
            {"run": run.run_id},
        )
    offers = [row for row in rows.to_pylist() if row["action"] != "none"]
    totals = {
        name: sum(row[name] or 0 for row in offers) for name in ("customer_count", "cost_cents", "net_value_cents")
    }
    considered = sum(row["customer_count"] for row in rows.to_pylist())
    return {"offers": offers, "considered_count": considered, **totals}


def _keep_preview(shop: Shop, number: int, preview: Mapping[str, Any]) -> None:
    chosen = sa.update(POLICY_PROPOSALS).where(POLICY_PROPOSALS.c.proposal_id == number)
    with shop.store.begin() as connection:
        connection.execute(chosen.values(preview=dict(preview)))


def _drop(context: RequestContext, number: int, state: str) -> None:
    _proposal(context.shop, number)
    with context.shop.store.begin() as connection:
        _decide(connection, number, state, by=context.by, now=context.now)
        context.record(connection, AuditAction(f"policy {state}"), {"proposal_id": number})


def _decide(
    connection: sa.Connection,
    number: int,
    state: str,
    *,
    by: str,
    now: datetime,
    more: Mapping[str, str] | None = None,
) -> None:
    is_open = (POLICY_PROPOSALS.c.proposal_id == number) & (POLICY_PROPOSALS.c.state == PROPOSED)
    values = {"state": state, "decided_at": now, "decided_by": by, **(more or {})}
    if not connection.execute(sa.update(POLICY_PROPOSALS).where(is_open).values(values)).rowcount:
        raise _refusal(PROPOSAL_DECIDED, RELOAD_PAGE)


def _proposal(shop: Shop, number: int) -> sa.RowMapping:
    """A proposal that is open. Raises NotFound, BadProposal."""
    row = _row(shop, number)
    if row["state"] != PROPOSED:
        raise _refusal(PROPOSAL_STATE(number=number, state=row["state"]), MAKE_ANOTHER)
    return row


def _row(shop: Shop, number: int) -> sa.RowMapping:
    chosen = sa.select(POLICY_PROPOSALS).where(POLICY_PROPOSALS.c.proposal_id == number)
    with shop.store.begin() as connection:
        row = connection.execute(chosen).mappings().first()
    if row is None:
        raise NotFound(NO_PROPOSAL, where=str(number), todo=LIST_PROPOSALS)
    return row


def _refusal(what: str, todo: str) -> BadProposal:
    return BadProposal(what, where=WHERE, todo=todo)
