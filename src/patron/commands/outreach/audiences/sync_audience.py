"""Sync an audience: tell the ad platform who was added and who is to be removed since the last time.

What is about to be sent is kept before it is sent, and confirmed after: where a crash or a lost answer leaves a change
open, the next sync repeats it, which changes nothing at the platform. Removals go first. A member's identifiers are
kept until their removal is confirmed, also of who was forgotten meanwhile; then they are deleted.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from patron.collect.inbox.compaction import load_inbox
from patron.commands.outreach.audiences.audience_candidates import (
    REASONS,
    AudienceCandidates,
    audience_candidates,
    forgotten_customers,
)
from patron.engage.audience_destinations import (
    AudienceBatch,
    AudienceDestination,
    FileDestination,
    Operation,
    destination_of,
)
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import BadAudience, WorkspaceBusy
from patron.schema.sentences import Sentence
from patron.storage.outreach.audience_file import AUDIENCE, Audience
from patron.storage.outreach.audience_members import (
    ADDED,
    ADDING,
    REMOVING,
    AudienceMember,
    audience_members,
    customers_in_state,
    delete_members,
    insert_adding,
    set_state,
)
from patron.storage.outreach.sending_hold import require_not_held
from patron.storage.outreach.versioned_drafts import WITHDRAWN, SavedVersion, lock_campaigns
from patron.storage.shop import Shop
from patron.storage.workspace.work_lock import hold_work_lock

LARGER_SEGMENT = Sentence(
    "larger_segment",
    "Choose a larger segment, or repeat with --small. Customers who had to be removed have been removed.",
)
AUDIENCE_CHANGED = Sentence("audience_changed", "{name!r} was saved or withdrawn while it was synced")
SYNC_AGAIN = Sentence("sync_again", "Sync it again.")

MIN_MEMBERS = 20
"""Smaller audiences could single people out, and platforms show ads to none so small."""


@dataclass(frozen=True)
class AudienceSync:
    """What a sync did, or would do; in customers."""

    audience: str
    version: int
    member_count: int
    """Who belongs into the audience by now."""
    added_count: int
    removed_count: int
    """Whose identifiers were removed, and deleted here; who is added anew with others counts as both."""
    left_out: Mapping[str, int]
    """Members of the segment who are not in the audience, by reason."""
    files: tuple[str, ...]
    """Files written, within the workspace."""
    is_dry_run: bool


@dataclass(frozen=True)
class _Changes:
    """What the platform must be sent."""

    add: Mapping[str, Mapping[str, str]]
    """Hashes by kind of each customer who is new."""
    pending: Sequence[AudienceMember]
    """Customers whose addition was not confirmed."""
    remove: Sequence[AudienceMember]
    kept: frozenset[str]
    """Hashes that stay, as those of a household that shares a number."""

    @classmethod
    def between(cls, before: Sequence[AudienceMember], wanted: Mapping[str, Mapping[str, str]]) -> "_Changes":
        """Compare what the platform has with what it should have."""
        stays = [one for one in before if one.state != REMOVING and wanted.get(one.customer_id) == one.identifiers]
        ids = {stay.customer_id for stay in stays}
        return cls(
            add={one: hashes for one, hashes in wanted.items() if one not in ids},
            pending=[stay for stay in stays if stay.state == ADDING],
            remove=[one for one in before if one.customer_id not in ids],
            kept=frozenset(identifier for member in stays for identifier in member.identifiers.values()),
        )


@dataclass
class _Sync:
    """A sync under way."""

    shop: Shop
    name: str
    version: int
    destination: AudienceDestination
    now: datetime
    by: str
    counts: dict[Operation, int] = field(default_factory=lambda: {"add": 0, "remove": 0})

    def remove(self, changes: _Changes) -> None:
        """Have everybody removed who is to go, then delete them here."""
        with self.shop.store.begin() as connection:
            new = [one.customer_id for one in changes.remove if one.state != REMOVING]
            set_state(connection, self.name, new, REMOVING)
        for some in self._batches(changes.remove):
            left = ({k: v for k, v in one.identifiers.items() if v not in changes.kept} for one in some)
            self._deliver("remove", some, [hashes for hashes in left if hashes])
            with self.shop.store.begin() as connection:
                delete_members(connection, self.name, [one.customer_id for one in some])
            self.counts["remove"] += len(some)

    def add(self, changes: _Changes) -> None:
        """Have everybody added who is new, and again those whose addition was not confirmed."""
        with self.shop.store.begin() as connection:
            lock_campaigns(connection)  # why: who saves another destination must know that there are members
            self._require_unchanged(connection)
            insert_adding(connection, self.name, changes.add, self.now)
        forgotten = forgotten_customers(self.shop, changes.add)
        with self.shop.store.begin() as connection:
            delete_members(connection, self.name, sorted(forgotten))
        there = sorted(changes.add.keys() - forgotten)
        new = [AudienceMember(one, changes.add[one], ADDING, self.now) for one in there]
        for batch in self._batches([*changes.pending, *new]):
            some = self._still_to_add(batch)
            self._deliver("add", some, [one.identifiers for one in some])
            with self.shop.store.begin() as connection:
                set_state(connection, self.name, [one.customer_id for one in some], ADDED, self.now)
            self.counts["add"] += len(some)

    def _still_to_add(self, members: Sequence[AudienceMember]) -> list[AudienceMember]:
        """Members who were not forgotten since the sync began."""
        with self.shop.store.begin() as connection:
            self._require_unchanged(connection)
            ids = customers_in_state(connection, self.name, [member.customer_id for member in members], ADDING)
        return [member for member in members if member.customer_id in ids]

    def _require_unchanged(self, connection: sa.Connection) -> None:
        """Raise BadAudience where the audience was saved or withdrawn since the sync began."""
        saved = AUDIENCE.saved(connection, self.name)
        if saved.version != self.version or saved.state == WITHDRAWN:
            what = AUDIENCE_CHANGED(name=self.name)
            raise BadAudience(what, where="audience", todo=SYNC_AGAIN)

    def _deliver(
        self, operation: Operation, members: Sequence[AudienceMember], people: Sequence[Mapping[str, str]]
    ) -> None:
        require_not_held(self.shop.store)
        if people:
            since = max(member.changed_at for member in members)
            self.destination.deliver(AudienceBatch(self.name, operation, people, since), self.now)

    def _batches(self, members: Sequence[AudienceMember]) -> Iterator[Sequence[AudienceMember]]:
        size = self.destination.batch_size
        return (members[start : start + size] for start in range(0, len(members), size))


def sync_audience(
    context: RequestContext, name: str, *, is_dry_run: bool = False, is_small_allowed: bool = False
) -> AudienceSync:
    """Send the changes of an audience; of a withdrawn one everybody is removed. `clock` says when a request is signed.

    Raises NotFound, NoRunYet, BadSegment, BadAudience for too few members, once removals are done, and for one that is
    saved or withdrawn meanwhile; SendingHeld, ChannelUnavailable, WorkspaceBusy.
    """
    with _hold_sync_lock(context.shop, name):
        if not is_dry_run:
            require_not_held(context.shop.store)
            load_inbox(context.shop)  # why: a withdrawal that the collector accepted counts at once
        saved = AUDIENCE.saved_in(context.shop.store, name)
        is_withdrawn = saved.state == WITHDRAWN
        candidates = AudienceCandidates({}, {}) if is_withdrawn else audience_candidates(context.shop, saved.content)
        with context.shop.store.begin() as connection:
            changes = _Changes.between(audience_members(connection, name), candidates.identifiers)
        if is_dry_run:
            counts: dict[Operation, int] = {
                "add": len(changes.add) + len(changes.pending),
                "remove": len(changes.remove),
            }
            return _summary(context.shop, saved, candidates, counts, None)
        destination = destination_of(saved.content, context.shop.folder, context.clock or (lambda: context.now))
        sync = _Sync(context.shop, name, saved.version, destination, context.now, context.by)
        try:
            sync.remove(changes)
            if not is_withdrawn:
                _require_enough(name, candidates, is_small_allowed=is_small_allowed)
                sync.add(changes)
        finally:
            _record(sync)
        return _summary(context.shop, saved, candidates, sync.counts, destination)


def _require_enough(name: str, candidates: AudienceCandidates, *, is_small_allowed: bool) -> None:
    count = len(candidates.identifiers)
    if count < MIN_MEMBERS and not is_small_allowed:
        left_out = "".join(f"; {number:,} {REASONS[reason]}" for reason, number in candidates.left_out.items())
        what = f"{name!r} has {count} members, fewer than {MIN_MEMBERS}{left_out}"
        todo = LARGER_SEGMENT
        raise BadAudience(what, where="segment", todo=todo)


def _record(sync: _Sync) -> None:
    """Write into the audit log how many were added and removed, also of a sync that was cut off."""
    if not any(sync.counts.values()):
        return
    details = {"audience": sync.name, "version": sync.version}
    details |= {"added": sync.counts["add"], "removed": sync.counts["remove"]}
    with sync.shop.store.begin() as connection:
        audit_log.append(sync.shop, connection, AuditAction.AUDIENCE_SYNCED, details, at=sync.now, by=sync.by)


def _summary(
    shop: Shop,
    saved: SavedVersion[Audience],
    candidates: AudienceCandidates,
    counts: Mapping[Operation, int],
    destination: AudienceDestination | None,
) -> AudienceSync:
    files = destination.files if isinstance(destination, FileDestination) else ()
    return AudienceSync(
        audience=saved.name,
        version=saved.version,
        member_count=len(candidates.identifiers),
        added_count=counts["add"],
        removed_count=counts["remove"],
        left_out=candidates.left_out,
        files=tuple(str(path.relative_to(shop.folder)) for path in files),
        is_dry_run=destination is None,
    )


def _hold_sync_lock(shop: Shop, name: str) -> AbstractContextManager[None]:
    """Be the only one who syncs an audience. Raises WorkspaceBusy."""
    what, todo = f"another process syncs the audience {name!r}", "Let it finish, or end it, and try again."
    return hold_work_lock(shop.folder, "audience", name, WorkspaceBusy(what, where="audience", todo=todo))
