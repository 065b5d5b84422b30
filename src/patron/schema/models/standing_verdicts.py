"""Which verdicts about groups stand once groups have thresholds of their own."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from patron.schema.tables import GROUP_THRESHOLDS, UNTESTED


class Verdict(Protocol):
    """What a row of `fairness` says about one metric of one group."""

    @property
    def decision(self) -> str:
        """What selects customers."""
        ...

    @property
    def mitigation(self) -> str:
        """With which thresholds."""
        ...

    @property
    def trait(self) -> str:
        """Sensitive trait."""
        ...

    @property
    def group_name(self) -> str:
        """Group by the trait."""
        ...

    @property
    def metric(self) -> str:
        """Metric of the group."""
        ...

    @property
    def verdict(self) -> str:
        """Whether it differs from the others'."""
        ...


AnyVerdict = TypeVar("AnyVerdict", bound=Verdict)


def standing_verdicts(rows: Iterable[AnyVerdict]) -> tuple[AnyVerdict, ...]:
    """Rows with a verdict: with each group's own threshold where that was tested, with one threshold elsewhere.

    A metric that cannot be tested again, such as the rate of a group with too few leaving customers, keeps its verdict.
    """
    tested = [row for row in rows if row.verdict != UNTESTED]
    replaced = {_key(row) for row in tested if row.mitigation == GROUP_THRESHOLDS}
    return tuple(row for row in tested if row.mitigation == GROUP_THRESHOLDS or _key(row) not in replaced)


def _key(row: Verdict) -> tuple[str, str, str, str]:
    return row.decision, row.trait, row.group_name, row.metric
