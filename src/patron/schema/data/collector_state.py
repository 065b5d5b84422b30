"""What the collector reports of itself, and how far its inbox has come."""

from dataclasses import dataclass

from patron.schema.data.counts import IngestionCounts


@dataclass(frozen=True, kw_only=True)
class SourceCounts(IngestionCounts):
    """What became of every message that a source ever sent: accepted = stored + duplicate + rejected."""

    source: str
    accepted: int


@dataclass(frozen=True)
class CollectorState:
    """State of the collector."""

    counters: tuple[SourceCounts, ...]
    waiting_requests: int
    """Requests on disk that are not in the lake yet."""
    trouble: str
    """Why nothing is accepted, or nothing moves into the lake; empty when all is well."""
    is_accepting: bool = False
    """Whether a collector of this process accepts events."""


@dataclass(frozen=True)
class InboxPosition:
    """The last request of an inbox that is in the lake."""

    inbox_id: str = ""
    """Empty for a workspace without an inbox."""
    seq: int = 0
