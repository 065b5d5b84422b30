"""Whether the rules of branches hold for customers, by the last run: one query for all customers and branches."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from patron.engage.journeys.journey_steps import Entry
from patron.schema.errors import BadSegment, PatronError, SettingsError
from patron.schema.table_definition import TEXT
from patron.segments.segment_sql import memberships_query
from patron.storage.outreach.journey_file import Branch, Journey
from patron.storage.segments.segment_query import query_members, read_rule, snapshot_scope
from patron.storage.shop import Shop


@dataclass
class JourneyBranches:
    """Verdicts of branches for some customers."""

    shop_of: Callable[[str, int], Shop]
    """The shop as it was when a version was approved."""
    versions: Callable[[str, int], Journey]
    customer_of: Mapping[str, str]
    """Customer, as the last run knows them, of the ids that entries have."""
    troubles: list[PatronError] = field(default_factory=list)
    _members: dict[tuple[str, int], Mapping[int, Collection[str]] | None] = field(default_factory=dict)

    def holds(self, entry: Entry, place: int) -> bool | None:
        """Whether the rule of a branch holds for the customer of an entry; None where it cannot be evaluated."""
        key = (entry.journey, entry.version)
        if key not in self._members:
            try:
                self._members[key] = self._evaluate(self.shop_of(*key), self.versions(*key))
            except (BadSegment, SettingsError) as error:
                self._members[key] = None
                self.troubles.append(error)
        members = self._members[key]
        return None if members is None else self.customer_of.get(entry.customer_id, entry.customer_id) in members[place]

    def _evaluate(self, shop: Shop, journey: Journey) -> Mapping[int, Collection[str]]:
        """Customers for whom the rule of each branch holds, by its place; before any run nobody."""
        steps = {place: step for place, step in enumerate(journey.steps) if isinstance(step, Branch)}
        snapshot = shop.snapshot()
        if snapshot is None:
            return {place: set() for place in steps}
        rules = [read_rule(step.rule, snapshot, shop.store, where=journey.name) for step in steps.values()]
        wanted = pa.array(sorted(set(self.customer_of.values())), TEXT)
        rows = query_members(
            snapshot,
            memberships_query(rules, snapshot_scope(snapshot), ("customer_id",)),
            "select m.* from members m join wanted w on w.customer_id = m.customer_id",
            wanted=pa.table({"customer_id": wanted}),
        )
        ids = rows["customer_id"].to_pylist()
        return {
            place: {one for one, is_member in zip(ids, rows[f"m{n}"].to_pylist(), strict=True) if is_member}
            for n, place in enumerate(steps)
        }
