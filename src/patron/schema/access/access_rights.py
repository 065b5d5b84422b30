"""Who may do what: the table of roles and rights, the scopes of API keys, and the actor who asks.

A right is an action in an area, written `read:customers`; what is not granted is refused. Reading never shows who a
customer is: names, contacts and texts are masked, and the right to reveal them is one of its own, as is the right to
export. Both are granted to a person, next to roles.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from patron.schema.errors import NotAllowed, SettingsError
from patron.schema.sentences import Sentence

ASK_UNRESTRICTED = Sentence("ask_unrestricted", "Ask somebody whose team is not restricted to a segment.")
WRITE_RIGHT = Sentence("write_right", "Write ACTION:AREA, of the actions {actions} and the areas {areas}.")
ASK_FOR_ROLE = Sentence("ask_for_role", "Ask an administrator for a role that includes it.")
SEND_KEY_WITH_IT = Sentence("send_key_with_it", "Send a key that has it.")
NEEDS_RIGHT = Sentence("needs_right", "this needs the right {right}")
ALL_CUSTOMERS_ONLY = Sentence("all_customers_only", "this covers all customers, and your team sees only some of them")
NOT_A_RIGHT = Sentence("not_a_right", "{text!r} is not a right")


class Action(StrEnum):
    """What one does in an area."""

    READ = "read"
    ACT = "act"
    """Make, change, and carry out."""
    APPROVE = "approve"
    """Let happen what somebody else prepared."""
    REVEAL = "reveal"
    """See names, contacts and texts in clear, one customer at a time."""
    EXPORT = "export"
    """Take rows out as a file."""
    ADMINISTER = "administer"


class Area(StrEnum):
    """Part of Patron that a right is about."""

    OVERVIEW = "overview"
    """Key figures, what needs a decision, the brief, retention."""
    CUSTOMERS = "customers"
    """Lists and pages of customers, the watch list, tasks, notes and tags."""
    SEGMENTS = "segments"
    CAMPAIGNS = "campaigns"
    """Campaigns and journeys."""
    OFFERS = "offers"
    """Offers, the policy, and the decisions that follow from it."""
    RECOMMENDATIONS = "recommendations"
    EXPERIMENTS = "experiments"
    MODELS = "models"
    DATA = "data"
    """What arrives: imports, rejected events, quality."""
    RUNS = "runs"
    QUESTIONS = "questions"
    """Saved questions and SQL over the tables."""
    MESSAGES = "messages"
    """What was sent, and what became of it."""
    PRIVACY = "privacy"
    """Requests of customers: export, erasure, consent."""
    AUDIT = "audit"
    ACCESS = "access"
    """Users, roles, teams and keys."""
    SETTINGS = "settings"
    STOREFRONT = "storefront"
    """What a shop's pages and servers need: events in, lists for shoppers out."""


class Role(StrEnum):
    """Job of a person; one may have several."""

    VIEWER = "viewer"
    MARKETER = "marketer"
    ANALYST = "analyst"
    SERVICE_AGENT = "service_agent"
    APPROVER = "approver"
    PRIVACY_OFFICER = "privacy_officer"
    ADMIN = "admin"


class Right(NamedTuple):
    """An action in an area."""

    action: Action
    area: Area

    def __str__(self) -> str:
        """As scopes of keys are written: `read:customers`."""
        return f"{self.action}:{self.area}"

    @classmethod
    def parse(cls, text: str, *, where: str = "--scope") -> "Right":
        """Read `action:area`. Raises SettingsError."""
        action, _, area = text.strip().partition(":")
        try:
            return cls(Action(action), Area(area))
        except ValueError:
            todo = WRITE_RIGHT(actions=", ".join(Action), areas=", ".join(Area))
            raise SettingsError(NOT_A_RIGHT(text=text), where=where, todo=todo) from None


LETTERS = {"r": Action.READ, "a": Action.ACT, "p": Action.APPROVE, "v": Action.REVEAL, "x": Action.EXPORT}
LETTERS["m"] = Action.ADMINISTER
COLUMNS = (*Role,)
TABLE: dict[Area, tuple[str, ...]] = {
    #                  viewer marketer analyst agent approver privacy admin
    Area.OVERVIEW: ("r", "r", "r", "", "r", "r", "r"),
    Area.CUSTOMERS: ("r", "ra", "r", "rav", "r", "rv", "ra"),
    Area.SEGMENTS: ("r", "ra", "ra", "", "r", "r", "ra"),
    Area.CAMPAIGNS: ("r", "ra", "r", "", "rp", "r", "rap"),
    Area.OFFERS: ("r", "ra", "r", "", "rp", "r", "rap"),
    Area.RECOMMENDATIONS: ("r", "ra", "ra", "r", "r", "", "ra"),
    Area.EXPERIMENTS: ("r", "ra", "ra", "", "rp", "", "rap"),
    Area.MODELS: ("r", "r", "ra", "", "rp", "r", "rap"),
    Area.DATA: ("r", "r", "ra", "", "r", "r", "ra"),
    Area.RUNS: ("r", "r", "ra", "", "r", "r", "ra"),
    Area.QUESTIONS: ("r", "ra", "ra", "", "r", "", "ra"),
    Area.MESSAGES: ("r", "ra", "r", "r", "r", "r", "ra"),
    Area.PRIVACY: ("", "", "", "", "", "rax", "r"),
    Area.AUDIT: ("", "", "", "", "", "rx", "rx"),
    Area.ACCESS: ("", "", "", "", "", "", "rm"),
    Area.SETTINGS: ("", "", "", "", "", "", "rm"),
    Area.STOREFRONT: ("", "", "", "", "", "", ""),
}
"""Actions of each role by area, by their letters above; the columns are the roles in their order."""
EXPORTABLE = (
    Area.OVERVIEW,
    Area.CUSTOMERS,
    Area.SEGMENTS,
    Area.OFFERS,
    Area.EXPERIMENTS,
    Area.QUESTIONS,
    Area.DATA,
    Area.CAMPAIGNS,
    Area.MODELS,
    Area.RUNS,
    Area.ACCESS,
)
"""Areas whose rows the right to export takes out, where the person may read them."""


def rights_of_role(role: Role) -> frozenset[Right]:
    """Rights of one role."""
    column = COLUMNS.index(role)
    return frozenset(Right(LETTERS[letter], area) for area, cells in TABLE.items() for letter in cells[column])


class Grant(StrEnum):
    """Right of a person next to roles."""

    REVEAL = "reveal"
    """See names, contacts and texts of customers in clear; each time is in the audit log."""
    EXPORT = "export"
    """Take lists out as files; each time is in the audit log."""


def rights_of_user(roles: Iterable[Role], grants: Iterable[Grant] = ()) -> frozenset[Right]:
    """Rights of a person: those of every role, and what is granted next to them."""
    rights = frozenset[Right]().union(*(rights_of_role(role) for role in roles))
    granted: set[Right] = set()
    if Grant.REVEAL in (held := set(grants)) and Right(Action.READ, Area.CUSTOMERS) in rights:
        granted.add(Right(Action.REVEAL, Area.CUSTOMERS))
    if Grant.EXPORT in held:
        granted |= {Right(Action.EXPORT, area) for area in EXPORTABLE if Right(Action.READ, area) in rights}
    return rights | granted


def _each(actions: Iterable[Action], areas: Iterable[Area]) -> frozenset[Right]:
    return frozenset(Right(action, area) for action in actions for area in areas)


ALL_RIGHTS = _each(Action, Area)
"""Those of whoever works on this machine itself."""
WORKING_AREAS = (
    Area.OVERVIEW,
    Area.CUSTOMERS,
    Area.SEGMENTS,
    Area.CAMPAIGNS,
    Area.OFFERS,
    Area.RECOMMENDATIONS,
    Area.EXPERIMENTS,
    Area.MODELS,
    Area.DATA,
    Area.RUNS,
)
"""Areas that programs and visitors of a demo read."""
READ_KEY_RIGHTS = _each([Action.READ], WORKING_AREAS)
SECRET_KEY_RIGHTS = (
    READ_KEY_RIGHTS
    | _each([Action.ACT], [Area.STOREFRONT, Area.SEGMENTS, Area.CAMPAIGNS, Area.MESSAGES, Area.PRIVACY])
    | _each([Action.APPROVE], [Area.CAMPAIGNS])
    | _each([Action.EXPORT], [Area.CUSTOMERS, Area.SEGMENTS, Area.PRIVACY])
)
KEY_RIGHTS: Mapping[str, frozenset[Right]] = {
    "write": _each([Action.ACT], [Area.STOREFRONT]),
    "read": READ_KEY_RIGHTS,
    "secret": SECRET_KEY_RIGHTS,
}
"""Most that a key of a kind may do; its scopes narrow it."""


WHOLE_SHOP = (
    _each(Action, [Area.PRIVACY, Area.AUDIT, Area.QUESTIONS])
    | _each([Action.ACT, Action.APPROVE], [Area.CAMPAIGNS, Area.OFFERS])
    | _each([Action.ADMINISTER], [Area.ACCESS, Area.SETTINGS])
)
"""Rights that nobody has who sees the customers of a segment only: what they open reads, counts or reaches the others
too, or would lift the restriction."""


@dataclass(frozen=True)
class Actor:
    """Who asks: a person who signed in, a key, or a visitor of a demo."""

    name: str
    """As steps and the audit log write it."""
    rights: frozenset[Right]
    user_id: str = ""
    """Of a person who signed in."""
    key_id: str = ""
    """Of an API key."""
    email: str = ""
    """Of a person who signed in."""
    segment: str = ""
    """Segment outside which the actor sees no customer; empty is every customer."""

    def may(self, action: str, area: str) -> bool:
        """Whether the actor has a right."""
        right = Right(Action(action), Area(area))
        return right in self.rights and not (self.segment and right in WHOLE_SHOP)

    def require(self, right: Right) -> None:
        """Refuse an actor without a right. Raises NotAllowed (403)."""
        if right in WHOLE_SHOP:
            self.require_whole_shop()
        if right not in self.rights:
            todo = ASK_FOR_ROLE if self.user_id else SEND_KEY_WITH_IT
            raise NotAllowed(403, NEEDS_RIGHT(right=right), todo=todo)

    def require_whole_shop(self) -> None:
        """Refuse an actor who sees some customers only. Raises NotAllowed (403)."""
        if self.segment:
            todo = ASK_UNRESTRICTED
            raise NotAllowed(403, ALL_CUSTOMERS_ONLY, todo=todo)


VISITOR = Actor("visitor", READ_KEY_RIGHTS)
"""Somebody at a demo, who has not signed in: reads what shows nobody, and changes nothing."""
