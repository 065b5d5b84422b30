"""The mail digest: what it may hold, how often it comes, and which of it somebody may read."""

from enum import StrEnum

from patron.schema.access.access_rights import Action, Actor, Area


class DigestPart(StrEnum):
    """Part of a digest."""

    TODAY = "today"
    """What needs a decision of the receiver."""
    QUESTIONS = "questions"
    """The pinned questions of the dashboard."""
    BRIEF = "brief"
    """The brief of the week."""


class DigestRhythm(StrEnum):
    """How often a digest comes."""

    EVERY_RUN = "every_run"
    WEEKLY = "weekly"
    """With the first run of a week by the shop's clock."""


def readable_parts(actor: Actor) -> tuple[DigestPart, ...]:
    """Parts that somebody may read; who sees the customers of a segment only gets none that counts all of them."""
    may_read = {
        DigestPart.TODAY: actor.may(Action.READ, Area.OVERVIEW),
        DigestPart.QUESTIONS: actor.may(Action.READ, Area.QUESTIONS),
        DigestPart.BRIEF: actor.may(Action.READ, Area.OVERVIEW) and not actor.segment,
    }
    return tuple(part for part in DigestPart if may_read[part])
