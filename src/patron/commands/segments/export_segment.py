"""Members of a segment under the shop's own ids, as a CSV file for people and other systems."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.govern.privacy.consent_ledger import latest_answers
from patron.govern.vault import Vault
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import CREATE_OR_CHOOSE, NO_SUCH_FOLDER
from patron.schema.errors import BadFile
from patron.schema.list_pages import CursorText, Limit, PageNumber, page_of
from patron.schema.sentences import Sentence
from patron.storage.durable_files import private_file
from patron.storage.runs.last_run import last_run
from patron.storage.safe_csv import csv_parts
from patron.storage.segments.segment_query import member_ids
from patron.storage.shop import Shop, Snapshot

NOT_MEMBER_FORMAT = Sentence("not_member_format", "{name} is not a format for members")
END_IN_CSV = Sentence("end_in_csv", "End the name in .csv.")

EXPORT_SEGMENTS = Right(Action.EXPORT, Area.SEGMENTS)
PAGE_SIZE = 1_000
FIRST_TOKENS = """
select m.customer_id, t.token from members m left join (
  select customer_id, token, row_number() over (partition by customer_id order by known_at desc, token) as place
  from identities where is_user) t on t.customer_id = m.customer_id and t.place = 1
order by m.customer_id"""


@dataclass(frozen=True)
class MembersFile:
    """A file of members that was written."""

    segment: str
    run_id: str
    customer_count: int
    contactable_count: int
    """Members whom marketing messages may reach, as the consent ledger has it now."""
    file: str


@dataclass(frozen=True)
class SegmentMembers:
    """Members with the shop's own ids, in order of customer_id."""

    segment: str
    run_id: str
    rows: pa.Table


@dataclass(frozen=True)
class MemberPage:
    """One page of members, in order of customer_id."""

    segment: str
    run_id: str
    page: int
    page_count: int
    customer_count: int
    rows: list[dict[str, Any]]
    next_cursor: str | None
    """Where the next page begins; null after the last."""


def export_members(context: RequestContext, name: str, path: Path) -> MembersFile:
    """Write the members of a segment to a CSV file. Raises BadFile, and as `read_members` does."""
    _require_csv(path)
    members = read_members(context, name)
    with private_file(path) as out:
        out.writelines(csv_parts(members.rows))
    contactable_count = pc.sum(members.rows["may_be_contacted"]).as_py() or 0
    return MembersFile(
        name, members.run_id, customer_count=members.rows.num_rows, contactable_count=contactable_count, file=str(path)
    )


def read_members(context: RequestContext, name: str) -> SegmentMembers:
    """Gather the members of a segment; the audit log records it.

    Consent is shown, not applied: who may not be contacted is among them, too. `user_id` is the one known last; it is
    empty for a customer without one. Raises NoRunYet, NotFound, BadSegment, MasterKeyError.
    """
    view = last_run(context.shop)
    members = member_ids(view, name)
    may_contact = _may_contact(context.shop, view, members)
    rows = view.query(FIRST_TOKENS, members=members)
    tokens = rows["token"].drop_null().to_pylist()
    user_ids = dict(zip(tokens, Vault.open(context.shop).reveal(tokens), strict=True))
    customers = rows["customer_id"].to_pylist()
    columns = {
        "user_id": pa.array([user_ids.get(token) or "" for token in rows["token"].to_pylist()], pa.string()),
        "customer_id": rows["customer_id"],
        "may_be_contacted": pa.array([may_contact[customer] for customer in customers], pa.bool_()),
    }
    # why: before anybody gets them, so that none leaves without an entry
    with context.shop.store.begin() as connection:
        details = {"segment": name, "run_id": view.run.run_id, "customer_count": rows.num_rows}
        context.record(connection, AuditAction.SEGMENT_EXPORTED, details)
    return SegmentMembers(name, view.run.run_id, pa.table(columns))


@operation(EXPORT_SEGMENTS, "GET /api/segments/{name}/members", audit=AuditAction.SEGMENT_EXPORTED)
def list_members(
    context: RequestContext, name: str, page: PageNumber = 1, cursor: CursorText = "", limit: Limit = None
) -> MemberPage:
    """Members with the shop's own ids, and whether they may be contacted; the audit log records each request."""
    listed = read_members(context, name)
    rows = listed.rows if context.visible is None else context.visible.restrict(listed.rows)
    size = limit or PAGE_SIZE
    shown = page_of(rows, listed.run_id, page=page, size=size, cursor=cursor)
    page_count = max(1, -(-rows.num_rows // size))
    return MemberPage(
        name,
        listed.run_id,
        page=page,
        page_count=page_count,
        customer_count=rows.num_rows,
        rows=shown.rows,
        next_cursor=shown.next_cursor,
    )


def _may_contact(shop: Shop, view: Snapshot, members: pa.Table) -> dict[str, bool]:
    """Whether each member may be contacted, by the last answer of any of their users."""
    sql = "select i.token, i.customer_id from identities i join members m on m.customer_id = i.customer_id"
    tokens = view.query(f"{sql} where i.is_user", members=members).to_pydict()
    consent = shop.policy.consent
    customer_by_token = dict(zip(tokens["token"], tokens["customer_id"], strict=True))
    answers = latest_answers(shop.store, consent.names_of(consent.marketing), customer_by_token)
    return {
        customer_id: consent.allows(is_granted=answers.get(customer_id))
        for customer_id in members["customer_id"].to_pylist()
    }


def _require_csv(path: Path) -> None:
    if path.suffix.lower() != ".csv":
        ending = path.suffix or "a name without an ending"
        raise BadFile(NOT_MEMBER_FORMAT(name=ending), where=str(path), todo=END_IN_CSV)
    if not path.parent.is_dir():
        raise BadFile(NO_SUCH_FOLDER, where=str(path.parent), todo=CREATE_OR_CHOOSE)
