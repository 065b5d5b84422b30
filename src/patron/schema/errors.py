"""Every refusal Patron makes, in one tree: what was wrong, where, and what to do.

PatronError
├── SettingsError        patron.toml, policy.toml or an environment variable cannot be used
├── WorkspaceError       the workspace is missing, older than it can be, or damaged
│   ├── OlderWorkspace   an older Patron made the workspace, and it is only looked at
│   ├── WorkspaceBusy    another process is at work in this workspace
│   ├── NoSpace          the disk is full
│   ├── InboxDamaged     the inbox does not hold what was written
│   ├── LakeDamaged      the lake or a model is not as it was written
│   └── EventsLost       the lake lacks events that it had
├── ReadOnlyPast         the shop is shown as a past run left it, and something was to be changed
├── MasterKeyError       the master key is missing or does not fit this workspace
├── InvalidTable         rows break what their table declares
├── BadFile              a file cannot be read as its mapping says
│   └── BadMapping       the mapping itself cannot be used
├── BadEvent             one event breaks the catalogue (it becomes a dead letter)
├── BadRequest           a request to the collector or the API that cannot be read as it should
│   ├── BadKey           the key of a request is missing, unknown or revoked
│   ├── AccessProblem    a password, code, link or change of users that cannot be accepted
│   └── TooMany          one key sends more requests than it may
├── Overloaded           requests arrive faster than they can be written
├── ProfilesBehind       live profiles cannot be written now
├── BadQuery             a query that `patron sql` does not run
├── BadComparison        learners cannot be compared on a table as asked
├── BadInteractions      interactions of users with items that cannot be learned from as they are
├── BadListInput         products, rules or candidates that no list can be chosen from as they are
├── BadExperiment        rows or settings of an experiment that cannot be analysed as they are
├── BadLog               a log of decisions that no policy can be judged on as it is
├── BadAllocation        net values, costs or constraints that no offers can be allocated from as they are
│   └── ConflictingConstraints  constraints of an allocation that cannot all hold
├── BadSegment           a segment whose rule cannot be read, or names what is not there
├── BadCampaign          a campaign file that cannot be used, or a step that its state does not allow
├── BadJourney           a journey file that cannot be used, or a step that its state does not allow
├── BadAudience          an audience file that cannot be used, or an audience that must not be sent as it is
├── BadTemplate          a template that cannot be rendered for somebody
├── EditConflict         somebody saved another version since an edit was begun
├── SendingHeld          nothing is sent before a person says what was sent since a backup
├── BadPrivacyRequest    a request about a person's data that cannot be worked on as asked
├── BadProposal          a proposed policy that cannot be used, or a step that its state does not allow
├── BadWebhook           a webhook whose address, kinds of events or secrets cannot be used
├── BadTrial             arms, outcomes, propensities or costs that no effect can be estimated from as they are
├── ChannelUnavailable   a channel is not configured as it must be, or its provider does not answer
├── NotEnoughData        too little history for the question
├── NotFound             no such customer, model, run or question
│   └── NoRunYet        no run has finished, so there is nothing to read yet
└── MissingExtra         an optional dependency is not installed
"""

import json
from collections.abc import Mapping
from typing import Any

from patron.schema.common_sentences import AT_PLACE, HINTED
from patron.schema.sentences import Sentence, Text, plain_values


class PatronError(Exception):
    """A refusal that a person can act on: what, where, what to do.

    What is wrong and what to do are texts of declared sentences, so that catalogues translate them and programs read
    their codes and values; a plain text stays English. Raises TypeError for a sentence whose places are empty.
    """

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        for said in (what, todo):
            if isinstance(said, Sentence) and said.places:
                raise TypeError(said.code, sorted(said.places))
        self.what = what
        self.where = where
        self.todo = todo
        problem = f"{where}: {what}" if where else what
        stop = "" if problem.endswith("?") else "."
        super().__init__(f"{problem.rstrip('.')}{stop} {todo}" if todo else problem)

    @property
    def said(self) -> Text:
        """All of it as one text, for lists of problems."""
        what = self.what if isinstance(self.what, Text) else Text(self.what)
        problem = AT_PLACE(place=self.where, reasons=what) if self.where else what
        return Text(str(self), HINTED.code, {"problem": problem, "hint": self.todo}) if self.todo else problem

    def plain(self) -> dict[str, Any]:
        """What, where and what to do for JSON, with the codes and values of both texts."""
        return {"where": self.where, **plain_pair(self.what, self.todo)}

    @property
    def log_line(self) -> str:
        """The sentence for a log, with code and values after it."""
        code = code_of(self.what)
        return f"{self} [{code} {json.dumps(plain_values(self.what))}]" if code else str(self)


def plain_pair(what: str, todo: str) -> dict[str, Any]:
    """What is wrong and what to do for JSON, with the codes and values of both texts."""
    return {
        "what": str(what),
        "todo": str(todo),
        "code": code_of(what),
        "values": plain_values(what),
        "todo_code": code_of(todo),
        "todo_values": plain_values(todo),
    }


def code_of(text: str) -> str:
    """Code of the sentence of a text; "" for one that is none of ours."""
    return text.code if isinstance(text, Text) else ""


def read_texts(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What `plain` wrote, with both texts as they were raised; what was stored without codes stays English."""
    what = Text.read({"text": stored["what"], "code": stored.get("code", ""), "values": stored.get("values", {})})
    codes = {"code": stored.get("todo_code", ""), "values": stored.get("todo_values", {})}
    return {**stored, "what": what, "todo": Text.read({"text": stored.get("todo", ""), **codes})}


class SettingsError(PatronError):
    """patron.toml, policy.toml or an environment variable cannot be used."""


class BadKeyTerms(SettingsError):
    """An API key cannot be made with this name, kind, scopes or lifetime."""


class WorkspaceError(PatronError):
    """The workspace is missing, older than it can be, or damaged."""


class OlderWorkspace(WorkspaceError):
    """An older Patron made the workspace, and it is only looked at."""


class ReadOnlyPast(PatronError):
    """The shop is shown as a past run left it, and something was to be changed."""


class WorkspaceBusy(WorkspaceError):
    """Another process is at work in this workspace."""


class VersionGone(WorkspaceError):
    """A version of a table that an erasure has rewritten meanwhile; a newer one says what is left."""


class NoSpace(WorkspaceError):
    """The disk is full; nothing was half-written."""


class InboxDamaged(WorkspaceError):
    """The inbox does not hold what was written."""


class EventsLost(WorkspaceError):
    """The lake lacks events that it had."""


class LakeDamaged(WorkspaceError):
    """The lake or a model is not as it was written."""


class MasterKeyError(PatronError):
    """The master key is missing or does not fit this workspace."""


class InvalidTable(PatronError):
    """Rows break what their table declares."""


class BadFile(PatronError):
    """A file cannot be read as its mapping says."""


class BadMapping(BadFile):
    """The mapping itself cannot be used."""


class BadEvent(PatronError):
    """One event breaks the catalogue; it becomes a dead letter."""


class BadRequest(PatronError):
    """A request to the collector or the API that cannot be read as it should; `status` is what HTTP calls it."""

    def __init__(self, status: int, what: str, *, where: str = "", todo: str = "") -> None:
        super().__init__(what, where=where, todo=todo)
        self.status = status


class BadKey(BadRequest):
    """The key of a request is missing, unknown or revoked."""


class NotAllowed(BadRequest):
    """Nobody signed in (401), or the person or key lacks the right (403)."""


class AccessProblem(BadRequest):
    """What somebody entered to sign in, or a change of users, cannot be accepted; `problem` is its code."""

    def __init__(
        self, problem: str, what: str, *, status: int = 422, where: str = "", todo: str = "", retry_seconds: int = 0
    ) -> None:
        super().__init__(status, what, where=where, todo=todo)
        self.problem = problem
        self.retry_seconds = retry_seconds
        """When to try again; 0 where waiting does not help."""


class TooMany(BadRequest):
    """One key sends more requests than it may."""


class Overloaded(PatronError):
    """Requests arrive faster than they can be written; the client tries again."""


class ProfilesBehind(PatronError):
    """Live profiles cannot be written now; events wait in the inbox until they can."""


class BadQuery(PatronError):
    """A query that `patron sql` does not run."""


class BadComparison(PatronError, ValueError):
    """Learners cannot be compared on a table as asked."""


class BadInteractions(PatronError, ValueError):
    """Interactions of users with items that cannot be learned from as they are."""


class BadListInput(PatronError, ValueError):
    """Products, rules or candidates that no list can be chosen from as they are."""


class BadExperiment(PatronError, ValueError):
    """Rows or settings of an experiment that cannot be analysed as they are."""


class BadLog(PatronError, ValueError):
    """A log of decisions that no policy can be judged on as it is."""


class BadAllocation(PatronError, ValueError):
    """Net values, costs or constraints that no offers can be allocated from as they are."""


class ConflictingConstraints(BadAllocation):
    """Constraints of an allocation that cannot all hold."""


class BadSegment(PatronError):
    """A segment whose rule cannot be read, or names what is not there."""


class BadCampaign(PatronError):
    """A campaign file that cannot be used, or a step that its state does not allow."""


class BadJourney(PatronError):
    """A journey file that cannot be used, or a step that its state does not allow."""


class BadAudience(PatronError):
    """An audience file that cannot be used, or an audience that must not be sent as it is."""


class BadTemplate(PatronError):
    """A template that cannot be rendered for somebody."""


class EditConflict(PatronError):
    """Somebody saved another version since an edit was begun."""


class SendingHeld(PatronError):
    """Nothing is sent before a person says what was sent since a backup."""


class BadPrivacyRequest(PatronError):
    """A request about a person's data that cannot be worked on as asked."""


class BadProposal(PatronError):
    """A proposed policy that cannot be used, or a step that its state does not allow."""


class BadWebhook(PatronError):
    """A webhook whose address, kinds of events or secrets cannot be used."""


class BadDigest(PatronError):
    """A subscription to the mail digest without a part, or with a rhythm that there is not."""


class BadTrial(PatronError, ValueError):
    """Arms, outcomes, propensities or costs that no effect can be estimated from as they are."""


class ChannelUnavailable(PatronError):
    """A channel is not configured as it must be, or its provider does not answer."""


class NotEnoughData(PatronError):
    """Too little history for the question."""


class NotFound(PatronError):
    """No such customer, model, run or question."""


class NoRunYet(NotFound):
    """No run of the loop has finished, so there is nothing to read yet."""


class MissingExtra(PatronError):
    """An optional dependency is not installed."""
