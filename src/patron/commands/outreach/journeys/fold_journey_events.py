"""Fold what is new since the last round into journeys: events, products' prices, runs' segments, birthdays.

The position is written once all that led to is; what was cut off before is looked at again and leads to the same.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from patron.commands.outreach.journeys.journey_branches import JourneyBranches
from patron.commands.outreach.journeys.live_journeys import LiveJourneys
from patron.decide.holdout import HOLDOUT, arm_of
from patron.engage.journeys.birthdays import birthday_matches
from patron.engage.journeys.customer_events import (
    earlier_ids,
    events_since,
    read_new_events,
    slices_of_customers,
    with_customers,
)
from patron.engage.journeys.journey_entries import (
    active_versions,
    entries_of_customers,
    first_entered_at,
    write_entries,
)
from patron.engage.journeys.journey_fold import Occurrence, TriggerMatch, apply_events, by_customer
from patron.engage.journeys.journey_position import JourneyPosition, read_position, write_position
from patron.engage.journeys.journey_steps import Entry, event_names, listened_events
from patron.engage.journeys.journey_triggers import (
    OpenJourney,
    event_matches,
    product_changes,
    product_matches,
    segment_matches,
    trigger_events,
)
from patron.govern.vault import Vault
from patron.schema.errors import PatronError
from patron.schema.tables import EVENTS
from patron.storage.engine import timestamp
from patron.storage.outreach.journey_file import DateTrigger, ProductTrigger, SegmentTrigger
from patron.storage.outreach.versioned_drafts import holdouts_of
from patron.storage.shop import Shop

TOGETHER = 5_000
"""Customers whose entries are changed in one transaction."""
ROWS = 50_000
"""Events that are in memory as Python's objects at once, and those of one more customer."""
NO_VERSION = -1
LOG_MARGIN = timedelta(minutes=10)
"""Where the lake's log does not name what came since the last round, so much before it is looked at again."""
PROMPT = timedelta(minutes=1)
"""What makes enter and is heard of later than that may be older than events that were folded already."""
DAY = timedelta(days=1)


@dataclass
class JourneyEventProcessor:
    """One round's look at what is new."""

    shop: Shop
    live: LiveJourneys
    now: datetime
    troubles: list[PatronError] = field(default_factory=list)

    def fold(self) -> bool:
        """Fold what is new; returns whether more waits, as members and birthdays are looked at in batches."""
        before = self._position()
        version = _lake_version(self.shop)
        for things in self._of_events(before, version) if version != before.version else ():
            self._write(self._with_later_events(things))
        matches, after = self._of_runs(replace(before, version=version))
        birthdays, after = self._of_birthdays(after)
        self._write([*matches, *birthdays])
        if after != before:  # why: an idle round writes nothing
            with self.shop.store.begin() as connection:
                write_position(connection, replace(after, at=self.now.isoformat()))
        triggers = {one.name: one.journey.trigger for one in self.live.running()}
        is_looking = after.birthdays_after is not None and any(
            isinstance(trigger, DateTrigger) for trigger in triggers.values()
        )
        return is_looking or not triggers.keys().isdisjoint(after.members_after)

    def _position(self) -> JourneyPosition:
        """Where the last round ended; the first journey begins with what comes from now on."""
        with self.shop.store.begin() as connection:
            position = read_position(connection)
            if position is None or set(self.live.names) <= self.live.started:
                position = JourneyPosition(_lake_version(self.shop), self.now.isoformat())
                write_position(connection, position)
        return position

    def _of_events(self, position: JourneyPosition, version: int) -> Iterator[list[Occurrence | TriggerMatch]]:
        """What came since a position, some customers at a time: all of one customer's together."""
        relation, running = self._new_rows(position, version), self.live.running()
        with self.shop.store.begin() as connection:
            since, versions = first_entered_at(connection), active_versions(connection)
        versions |= {(one.name, one.version) for one in running}
        listened = frozenset(name for one in versions for name in listened_events(self.live.version(*one)))
        names, by_product = listened | trigger_events(running), self._of_products(relation)
        events = read_new_events(self.shop, relation, names, exits=listened, since=since) if names else None
        if events is not None and events.num_rows:
            events = with_customers(self.shop.snapshot() or self.shop.newest_snapshot(), events)
            for some in slices_of_customers(events, ROWS):
                rows = some.to_pylist()
                things: list[Occurrence | TriggerMatch] = [
                    Occurrence(row["customer_id"], row["name"], row["happened_at"])
                    for row in rows
                    if row["name"] in listened
                ]
                fresh = [row for row in rows if row["is_fresh"]]
                for one in running:
                    with self._keep_trouble():
                        things += event_matches(self.live.shop_of(one.name, one.version), one, fresh)
                for customer in {row["customer_id"] for row in rows}:
                    things += by_product.pop(customer, [])
                yield things
        yield [match for matches in by_product.values() for match in matches]

    def _with_later_events(self, things: list[Occurrence | TriggerMatch]) -> list[Occurrence | TriggerMatch]:
        """These, and what customers did after what is heard of late: it may have been folded before they entered."""
        late = {
            thing.customer_id: thing
            for thing in things
            if isinstance(thing, TriggerMatch) and thing.at < self.now - PROMPT
        }
        names = {name for one in late.values() for name in listened_events(self.live.version(one.journey, one.version))}
        if not names:
            return things
        since = min(one.at for one in late.values())
        rows = events_since(self.shop, names, since, {one: match.token for one, match in late.items()})
        return things + [Occurrence(row["customer_id"], row["name"], row["happened_at"]) for row in rows]

    def _of_products(self, relation: str) -> dict[str, list[TriggerMatch]]:
        """Who enters because of a product, by customer."""
        running = [one for one in self.live.running() if isinstance(one.journey.trigger, ProductTrigger)]
        changes, matches = (
            product_changes(self.shop, relation) if running else [],
            defaultdict[str, list[TriggerMatch]](list),
        )
        for one in running:
            with self._keep_trouble():
                for match in product_matches(self.shop, one, changes):
                    matches[match.customer_id].append(match)
        return dict(matches)

    def _new_rows(self, position: JourneyPosition, version: int) -> str:
        """SQL of the events that came since a position, or of more where the lake's log does not say which."""
        files = None
        if version > position.version:
            files = self.shop.lake.files_added(EVENTS, position.version, version)
        if files is not None:
            return self.shop.lake.relation(EVENTS, only=files)
        since = timestamp(min(position.looked_at, self.now) - LOG_MARGIN)
        return f"select * from ({self.shop.lake.relation(EVENTS)}) where received_at >= {since}"

    def _of_runs(self, position: JourneyPosition) -> tuple[list[TriggerMatch], JourneyPosition]:
        """Who became a member of a segment by a newer run than the last that was looked at, some thousands a round."""
        journeys = {one.name for one in self.live.saved if isinstance(one.content.trigger, SegmentTrigger)}
        running = self.live.running()
        snapshot = self.shop.snapshot()
        matches = list[TriggerMatch]()
        members_after = dict[str, str]()
        cutoff = snapshot.run.as_of.isoformat() if snapshot else ""
        # why: of a newer run all are looked at, not only those whose ids come after the last one's
        is_same = position.members_of == cutoff
        earlier = {name: after if is_same else "" for name, after in position.members_after.items() if name in journeys}
        runs = {name: before for name, before in position.runs.items() if name in journeys}
        for one in running:
            trigger = one.journey.trigger
            if not isinstance(trigger, SegmentTrigger):
                continue
            before = runs.setdefault(one.name, "")
            if snapshot is None or before == cutoff or not (before or trigger.includes_members):
                continue
            since, after = datetime.fromisoformat(before) if before else None, earlier.get(one.name, "")
            with self._keep_trouble():
                approved = replace(snapshot, shop=self.live.shop_of(one.name, one.version))
                entering, after = segment_matches(approved, one, since, self.now, after=after)
                matches += self._without_leavers(one, snapshot.run.as_of, entering)
                members_after |= {one.name: after} if after else {}
        # why: what a pause cut off goes on afterwards
        members_after |= {name: after for name, after in earlier.items() if name not in {one.name for one in running}}
        runs = {name: before if name in members_after else cutoff for name, before in runs.items()}
        return matches, replace(position, runs=runs, members_after=members_after, members_of=cutoff)

    def _without_leavers(self, one: OpenJourney, cutoff: datetime, matches: list[TriggerMatch]) -> list[TriggerMatch]:
        """Members but those who did, after the run's cutoff, what ends the journey: the run did not know it."""
        names = {name for event in one.journey.exit_on for name in event_names(event)}
        rows = events_since(self.shop, names, cutoff, {each.customer_id: each.token for each in matches})
        leavers = {row["customer_id"] for row in rows}
        return [each for each in matches if each.customer_id not in leavers]

    def _of_birthdays(self, position: JourneyPosition) -> tuple[Sequence[TriggerMatch], JourneyPosition]:
        """Whose birthday it will be by the end of tomorrow (UTC): looked up once a day, a batch in a round."""
        journeys = [one for one in self.live.running() if isinstance(one.journey.trigger, DateTrigger)]
        if not journeys:
            return [], position
        names = sorted(f"{journey.name}/{journey.version}" for journey in journeys)
        if names != list(position.birthdays_of):
            # why: whose birthday is today or tomorrow was looked up before this journey was under way, or as it is now
            position = replace(position, birthdays_of=names, birthdays_until="", birthdays_after=None)
        if position.birthdays_after is None:
            midnight = self.now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            before = datetime.fromisoformat(position.birthdays_until) if position.birthdays_until else self.now - DAY
            if position.birthdays_until and before >= midnight + 2 * DAY:
                return [], position
            since = max(before, self.now - DAY).isoformat()
            position = replace(
                position,
                birthdays_since=since,
                birthdays_until=(midnight + 2 * DAY).isoformat(),
                birthdays_after="",
            )
        since, until = (datetime.fromisoformat(one) for one in (position.birthdays_since, position.birthdays_until))
        after = position.birthdays_after or ""
        batch = birthday_matches(self.shop, Vault.open(self.shop), journeys, since, until, after)
        return batch.matches, replace(position, birthdays_after=batch.after)

    def _write(self, things: Sequence[Occurrence | TriggerMatch]) -> None:
        """Fold customer by customer, some thousands in a transaction."""
        grouped = by_customer(things)
        snapshot = self.shop.snapshot() or self.shop.newest_snapshot()
        customers = sorted(grouped)
        for start in range(0, len(customers), TOGETHER):
            some = customers[start : start + TOGETHER]
            entries = self._changed(some, grouped, earlier_ids(snapshot, some))
            with self.shop.store.begin() as connection:
                write_entries(connection, entries)

    def _changed(
        self,
        customers: Sequence[str],
        grouped: Mapping[str, tuple[list[Occurrence], list[TriggerMatch]]],
        customer_of: Mapping[str, str],
    ) -> list[Entry]:
        """Entries of customers that are new, or changed."""
        names = self.live.names
        entries: dict[str, list[Entry]] = defaultdict(list)
        with self.shop.store.begin() as connection:
            for entry in entries_of_customers(connection, names, customer_of):
                entries[customer_of[entry.customer_id]].append(entry)
            known = holdouts_of(connection, names, customer_of)
        holdouts: dict[tuple[str, str], bool] = {}
        for (journey, earlier_id), is_holdout in known.items():
            key = (journey, customer_of[earlier_id])
            holdouts[key] = is_holdout or holdouts.get(key, False)

        def is_holdout_of(match: TriggerMatch) -> bool:
            share = self.live.version(match.journey, match.version).holdout_share
            key = (match.journey, match.customer_id)
            if key not in holdouts:
                holdouts[key] = arm_of(*key, share) == HOLDOUT
            return holdouts[key]

        branches, changed = JourneyBranches(self.live.shop_of, self.live.version, customer_of), list[Entry]()
        for customer in customers:
            occurrences, matches = grouped[customer]
            if matches or any(one.is_active for one in entries[customer]):
                parts = (occurrences, matches, entries[customer])
                changed += apply_events(
                    *parts,
                    versions=self.live.version,
                    holdouts=is_holdout_of,
                    holds=branches.holds,
                    now=self.now,
                )
        self.troubles += branches.troubles
        return changed

    @contextmanager
    def _keep_trouble(self) -> Iterator[None]:
        """Keep what goes wrong with one journey, so that the others go on."""
        try:
            yield
        except PatronError as error:
            self.troubles.append(error)


def _lake_version(shop: Shop) -> int:
    version = shop.lake.version(EVENTS)
    return NO_VERSION if version is None else version
