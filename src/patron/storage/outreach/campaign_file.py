"""A campaign as people write it: one TOML file, and the same content as a row of the store; what such files share."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from patron.schema.common_sentences import NEEDS_END, ONE_LINE_VALUE
from patron.schema.errors import BadCampaign, PatronError, SettingsError
from patron.schema.sentences import Sentence, Text
from patron.storage.outreach.versioned_drafts import VersionedDrafts
from patron.storage.settings import read_toml
from patron.storage.settings_problems import problems_of

SHOP_CLOCK = Sentence("shop_clock", "is in the shop's time and has no time zone of its own")
ONE_AUDIENCE = Sentence("one_audience", "needs either a segment, or a run whose offers it sends")
RUN_NEEDS_OFFERS = Sentence("run_needs_offers", "names no offer of the run that it sends")
NEEDS_LANGUAGE = Sentence("needs_language", "needs a section such as [template.en] or [template.zh_CN]")

Goal = Literal["profit", "orders", "reactivated"]
MAX_NAME_LENGTH = 100
MAX_MONEY = 1e12
LANGUAGE = re.compile("[a-z]{2}(_[A-Z]{2})?")
CORRECT_FILE = Sentence("correct_file", "Correct the file and save it again; `{command}` prints one that works.")
CHECK_PATH_OR_EXAMPLE = Sentence("check_path_or_example", "Check the path; `{command}` prints a file that works.")
TEMPLATE_NEEDS_FILE = Sentence("template_needs_file", "a template needs a file")
TEMPLATE_OUTSIDE = Sentence("template_outside", "the template {name} is outside the file's folder")
TEMPLATE_ENDING = Sentence("template_ending", "the template {name} does not end in .mjml, .html or .txt")
TEMPLATE_UNREADABLE = Sentence("template_unreadable", "the template {name} cannot be read ({cause})")
TODO = CORRECT_FILE(command="patron campaign save --example")


class Section(BaseModel):
    """A section of a file: without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Template(Section):
    """Subject and body of a message in one language, in Liquid."""

    subject: str = Field(min_length=1)
    """Subject line."""
    file: str = ""
    """File of the body within the folder of the campaign file: .mjml, .html or .txt."""
    body: str = ""
    """The body itself, as it is kept once the campaign is saved."""
    format: Literal["mjml", "html", "text"] = "mjml"
    """How the body is written; follows from the file's name."""


class Expectation(Section):
    """What a campaign must reach on the simulated shop, so that it can be tested before it is sent."""

    least_effect: float | None = None
    """Least effect per customer, in the shop's currency."""
    least_profit: float | None = None
    """Least incremental profit in all, in the shop's currency."""


def is_line(value: str) -> str:
    """A text of one line. Raises ValueError."""
    if not value.isprintable() or value != value.strip():
        raise ValueError(ONE_LINE_VALUE)
    return value


def shop_time(value: datetime | None) -> datetime | None:
    """A time by the shop's clock. Raises ValueError for one with a zone."""
    if value is not None and value.tzinfo is not None:
        raise ValueError(SHOP_CLOCK)
    return value


def has_languages(value: dict[str, Template]) -> dict[str, Template]:
    """Templates by language. Raises ValueError for names that are no languages."""
    wrong = [name for name in value if not LANGUAGE.fullmatch(name)]
    if wrong or not value:
        raise ValueError(NEEDS_LANGUAGE)
    return value


class DraftFile(Section):
    """A file whose content is saved in versions."""

    problem: ClassVar[type[PatronError]]
    """Raised with all that is wrong with one."""
    todo: ClassVar[Text]
    """What to do about that."""
    lists: ClassVar[tuple[str, ...]] = ()
    """Lists of sections that have templates."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file, and the bodies of its templates. Raises its problem."""
        return cls.of(read_file(path, cls.problem, cls.todo, cls.lists), where=str(path))

    @classmethod
    def of(cls, content: dict[str, Any], *, where: str) -> Self:
        """The content of a file or of a row. Raises its problem with all that is wrong."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise cls.problem(problems_of(error, cls), where=where, todo=cls.todo) from error


class Campaign(DraftFile):
    """Who is sent what, from when to when, for what goal and money."""

    problem = BadCampaign
    todo = TODO

    name: str = Field(min_length=1, max_length=MAX_NAME_LENGTH)
    """Name of the campaign."""
    segment: str = ""
    """Segment whose members it is for; empty where it sends the offers of a run ..."""
    run: str = Field(default="", max_length=MAX_NAME_LENGTH)
    """... which is this one: it is for the customers whom that run gives an offer, and each gets the run's ..."""
    exclude: tuple[str, ...] = ()
    """... but for the members of these segments."""
    goal: Goal = "profit"
    """What it is to bring more of."""
    channel: str = "email"
    """Channel by which it is sent."""
    topic: str = Field(min_length=1)
    """Topic of the preference centre that its messages belong to."""
    offers: tuple[str, ...] = ()
    """Offers of policy.toml; each customer gets the best one, or the run's, or none. Empty: the message alone."""
    budget: float = Field(ge=0, le=MAX_MONEY)
    """What it may cost, in the shop's currency."""
    holdout_share: float = Field(default=0.2, ge=0, le=0.9)
    """Share of the audience that is sent nothing, so that the effect can be measured; of a run, see `drawn_share`."""
    start: datetime
    """When the first message goes out, by the shop's clock."""
    end: datetime
    """When it is over: nothing goes out from then on, and orders until then count."""
    template: dict[str, Template]
    """Templates by language; the shop's own language is what customers of others get."""
    expect: Expectation | None = None
    """What `patron campaign try` requires of it."""

    _one_line = field_validator("name", "run")(is_line)
    _by_shop_clock = field_validator("start", "end")(shop_time)
    _languages = field_validator("template")(has_languages)

    @model_validator(mode="after")
    def _has_one_audience(self) -> Self:
        if bool(self.segment) == bool(self.run):
            raise ValueError(ONE_AUDIENCE)
        if self.run and not self.offers:
            raise ValueError(RUN_NEEDS_OFFERS)
        return self

    @model_validator(mode="after")
    def _ends_later(self) -> Self:
        if self.end <= self.start:
            raise ValueError(NEEDS_END(start=self.start))
        return self

    @property
    def drawn_share(self) -> float:
        """Share of the audience that is held out; nobody of a run's, which has held out whom it compares with."""
        return 0.0 if self.run else self.holdout_share

    @property
    def segments(self) -> frozenset[str]:
        """Segments that it names: its audience, and whom it excludes."""
        return frozenset({self.segment, *self.exclude} - {""})

    @property
    def channels(self) -> tuple[str, ...]:
        """The channel by which it sends."""
        return (self.channel,)

    @property
    def budget_cents(self) -> int:
        """The budget in whole cents."""
        return round(self.budget * 100)

    def start_at(self, zone: ZoneInfo) -> datetime:
        """When it starts, as a moment; `zone` is the shop's."""
        return self.start.replace(tzinfo=zone)

    def end_at(self, zone: ZoneInfo) -> datetime:
        """When it is over, as a moment; `zone` is the shop's."""
        return self.end.replace(tzinfo=zone)

    @property
    def window(self) -> timedelta:
        """How long it runs by the shop's clock."""
        return self.end - self.start


CAMPAIGN = VersionedDrafts("campaign", Campaign.of, BadCampaign)
FORMATS = {".mjml": "mjml", ".html": "html", ".htm": "html", ".txt": "text"}


def read_file(path: Path, problem: type[PatronError], todo: Text, lists: Iterable[str] = ()) -> dict[str, Any]:
    """The content of a file with the bodies of its templates, and of those in the sections of some lists of it.

    Raises `problem` with what is wrong, and what to do about it.
    """
    try:
        content = read_toml(path)
    except SettingsError as error:  # why: what to do about a workspace's own file is wrong for this one
        missing = CHECK_PATH_OR_EXAMPLE(command=todo.values["command"])
        raise problem(error.what, where=str(path), todo=todo if path.is_file() else missing) from error
    bodies = _Bodies(path, problem, todo)
    for name in lists:
        if isinstance(sections := content.get(name), list):
            content |= {name: [bodies.read(section) if isinstance(section, dict) else section for section in sections]}
    return bodies.read(content)


@dataclass(frozen=True)
class _Bodies:
    """Reads the files that templates name."""

    path: Path
    problem: type[PatronError]
    todo: str

    def read(self, content: dict[str, Any]) -> dict[str, Any]:
        """A section with the bodies of its templates."""
        templates = content.get("template")
        if not isinstance(templates, dict):
            return content
        bodies = {
            language: self._with_body(section) if isinstance(section, dict) else section
            for language, section in templates.items()
        }
        return content | {"template": bodies}

    def _with_body(self, section: dict[str, Any]) -> dict[str, Any]:
        name = section.get("file")
        if not isinstance(name, str) or not name:
            if "body" not in section:
                raise self._problem(TEMPLATE_NEEDS_FILE)
            return section
        file = (self.path.parent / name).resolve()
        if not file.is_relative_to(self.path.parent.resolve()):
            raise self._problem(TEMPLATE_OUTSIDE(name=name))
        kind = FORMATS.get(file.suffix.lower())
        if kind is None:
            raise self._problem(TEMPLATE_ENDING(name=name))
        try:
            body = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise self._problem(TEMPLATE_UNREADABLE(name=name, cause=reason)) from error
        return section | {"body": body, "format": kind}

    def _problem(self, what: str) -> PatronError:
        return self.problem(what, where=str(self.path), todo=self.todo)
