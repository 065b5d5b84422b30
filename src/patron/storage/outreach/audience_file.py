"""An audience as people write it: whom an ad platform is to know, as which hashed identifiers, and where they go."""

from datetime import datetime
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from patron.schema.errors import BadAudience
from patron.schema.sentences import Sentence
from patron.storage.outreach.campaign_file import CORRECT_FILE, MAX_NAME_LENGTH, DraftFile, Section, is_line
from patron.storage.outreach.http_channel_settings import HttpChannelSettings
from patron.storage.outreach.versioned_drafts import VersionedDrafts
from patron.storage.setting_path import SettingPath

URL_AND_SECRET = Sentence("url_and_secret", "needs url and secret_file")

Identifier = Literal["email", "phone"]
TODO = CORRECT_FILE(command="patron audience save --example")


class Destination(Section):
    """Where the changes of an audience go."""

    kind: Literal["file", "http"] = "file"
    """file: CSV files in outbox/audiences that people upload; http: signed requests."""
    url: str = ""
    """http: address that takes the changes."""
    secret_file: SettingPath = ""
    """http: file with the secrets that sign, one a line, within the workspace or absolute."""
    local_hosts: tuple[str, ...] = ()
    """http: hosts of this machine or its network that may be reached, also without TLS; all others must be public."""
    timeout_seconds: float = Field(default=30, gt=0, le=600)
    """http: how long one exchange may take."""
    batch_size: int = Field(default=5_000, ge=1, le=10_000)
    """http: most people in one request."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kind == "file":
            return self
        if not self.url or not self.secret_file:
            raise ValueError(URL_AND_SECRET)
        HttpChannelSettings(local_hosts=self.local_hosts).require_allowed(self.url)
        return self


class Audience(DraftFile):
    """Whom an ad platform knows: the members of a segment who agreed to it, by hashed identifiers."""

    problem = BadAudience
    todo = TODO

    name: str = Field(min_length=1, max_length=MAX_NAME_LENGTH)
    """Name of the audience; no campaign or journey has the same."""
    segment: str = Field(min_length=1)
    """Segment whose members are in it ..."""
    exclude: tuple[str, ...] = ()
    """... but for the members of these."""
    identifiers: tuple[Identifier, ...] = Field(default=("email",), min_length=1)
    """What a person is known by: email, phone."""
    phone_format: Literal["e164", "digits"] = "e164"
    """What of a number is hashed: e164 as +16175551212, digits as 16175551212."""
    country_code: str = Field(default="", pattern=r"^([1-9]\d{0,2})?$")
    """Country code of numbers that are written without one; empty: they are left out."""
    destination: Destination = Destination()
    """Where the changes go."""

    _one_line = field_validator("name")(is_line)

    def end_at(self, zone: ZoneInfo) -> datetime | None:  # noqa: ARG002 - of whatever is saved in versions
        """An audience has no end."""
        return None


AUDIENCE = VersionedDrafts("audience", Audience.of, BadAudience)
"""Audiences are saved in versions, in the tables of campaigns and journeys: no two of them have the same name."""
