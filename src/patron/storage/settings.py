"""Where we run: patron.toml, overridden by environment variables such as PATRON_SHOP__CURRENCY."""

import os
import re
import tomllib
from pathlib import Path
from typing import Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as EnvironmentError_

from patron.schema.common_sentences import FILE_UNREADABLE_CAUSE
from patron.schema.errors import SettingsError
from patron.schema.sentences import Sentence, joined
from patron.schema.toml_texts import decode_toml
from patron.storage.access.access_settings import AccessSettings
from patron.storage.access.oidc_settings import OidcSettings
from patron.storage.data.event_webhook_settings import EventWebhookSettings
from patron.storage.outreach.channel_settings import ChannelsSettings
from patron.storage.settings_problems import problems_of, unknown_key

VARIABLE_NOT_JSON = Sentence(
    "variable_not_json", "is not written as JSON, which a section or a list needs in one variable"
)
RESTORE_OR_COPY = Sentence("restore_or_copy", "Restore it from a backup, or copy the default from a new workspace.")
NAME_ONE_KEY = Sentence("name_one_key", "Name one key, such as {variable}__KEY, or put it into {file}.")

FIX_LINE = Sentence("fix_line", "Fix the line, or copy the default from a new workspace.")
NOT_TOML = Sentence("not_toml", "is not valid TOML ({cause})")
ISO_CURRENCY = Sentence("iso_currency", "is not a currency code of ISO 4217, such as EUR")
IANA_ZONE = Sentence("iana_zone", "is not a time zone of the IANA database, such as 'Europe/Berlin'")
RATE_ABOVE_ZERO = Sentence("rate_above_zero", "needs a rate above 0 for {names}")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShopSettings(_Section):
    """The shop that Patron works for."""

    name: str = "My shop"
    """Shown in reports and the console."""
    currency: str = "USD"
    """ISO 4217 code all amounts are converted to."""
    time_zone: str = "UTC"
    """Time zone of opening hours and weekdays, as in the IANA database."""
    margin_share: float = Field(default=0.3, gt=0, le=1)
    """Contribution margin as a share of the price before discounts, 0 to 1."""
    locale: Literal["en", "zh_CN"] = "en"
    """Language of reports, and of the console before a person chooses."""
    is_demo: bool = False
    """Whether its customers are nobody, as in the workspace of `patron demo`; for `patron serve --demo`."""

    @field_validator("currency")
    @classmethod
    def _is_a_code(cls, value: str) -> str:
        if not re.fullmatch("[A-Z]{3}", value):
            raise ValueError(ISO_CURRENCY)
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(IANA_ZONE)
        return value


class EngineSettings(_Section):
    """How much of the machine a query may take."""

    memory_gb: float = Field(default=3.0, gt=0)
    """Memory of the embedded engine before it spills to the workspace's tmp folder, GB."""
    threads: int = Field(default=2, ge=1)
    """Threads of the embedded engine."""
    sql_seconds: float = Field(default=60.0, gt=0)
    """Time limit of one query of `patron sql`, seconds; `--timeout` replaces it."""
    sql_memory_gb: float = Field(default=2.0, gt=0)
    """Memory limit of one query of `patron sql`, GB."""
    sql_spill_gb: float = Field(default=4.0, ge=0)
    """Space that one query of `patron sql` may take in the workspace's tmp folder, GB."""


class CollectSettings(_Section):
    """What the collector accepts."""

    longest_event_bytes: int = Field(default=32_768, ge=1_024, le=524_288)
    """A longer event is rejected, bytes of JSON."""
    needs_secret_key: tuple[str, ...] = ("Promotion Scheduled",)
    """Names of events that only a secret key may send, such as "Order Completed"; by default what visitors see."""
    tracking_plan: Literal["warn", "refuse"] = "warn"
    """What happens to an event that breaks its JSON Schema in the workspace's folder tracking/."""
    test_sources: tuple[str, ...] = ()
    """Sources whose events are test traffic: kept, flagged and not used."""
    test_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    """Hosts of pages whose events are test traffic."""
    requests_per_second: float = Field(default=0, ge=0)
    """Limit of requests per key and second, on average; more are answered with 429. 0 is no limit."""
    peer_share: float = Field(default=0.5, gt=0, le=1)
    """Share of connections and of memory for requests that one address may hold, 0 to 1; from the next start."""
    proxies: tuple[str, ...] = ()
    """Addresses of proxies in front of the server, whose X-Forwarded-For names the sender; from the next start."""


class ValueSettings(_Section):
    """What counts towards a customer's value besides payments."""

    referral_share: float = Field(default=0.25, ge=0, le=1)
    """Share of a referred customer's expected revenue that counts for the referring customer, 0 to 1."""
    service_cents_per_order: float = Field(default=0, ge=0, allow_inf_nan=False)
    """Cost of serving one order, cents."""
    message_cents: float = Field(default=0, ge=0, allow_inf_nan=False)
    """Cost of one message that the shop sends, cents; the cost of an offer is in policy.toml."""


class Settings(BaseSettings):
    """All settings of one workspace."""

    model_config = SettingsConfigDict(
        env_prefix="PATRON_",
        env_nested_delimiter="__",
        frozen=True,
        extra="ignore",
        nested_model_default_partial_update=True,
    )

    shop: ShopSettings = ShopSettings()
    engine: EngineSettings = EngineSettings()
    collect: CollectSettings = CollectSettings()
    value: ValueSettings = ValueSettings()
    channels: ChannelsSettings = ChannelsSettings()
    access: AccessSettings = AccessSettings()
    webhooks: EventWebhookSettings = EventWebhookSettings()
    oidc: OidcSettings = OidcSettings()
    rates: dict[str, float] = {}
    """Units of the shop's currency that one unit of another is worth: EUR = 1.08 in a shop of dollars."""
    store_url: str = ""
    """SQLAlchemy URL of the operational store; empty is SQLite in the workspace."""
    inbox_url: str = ""
    """URL of a PostgreSQL database that several collectors share as inbox; empty is inbox.db in the workspace."""
    master_key_file: str = ""
    """File of the master key; empty is the user's configuration folder."""

    @field_validator("rates")
    @classmethod
    def _positive(cls, value: dict[str, float]) -> dict[str, float]:
        bad = sorted(code for code, rate in value.items() if not 0 < rate < float("inf"))
        if bad:
            raise ValueError(RATE_ABOVE_ZERO(names=", ".join(bad)))
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file."""
        return env_settings, init_settings


TODO = Sentence("correct_it", "Correct it, and try again.")
"""What to do about settings that cannot be used."""


def read_toml(path: Path) -> dict[str, object]:
    """Parse a TOML file of the workspace. Raises SettingsError naming the file and line."""
    try:
        return parse_toml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise SettingsError(
            FILE_UNREADABLE_CAUSE(cause=error.strerror),
            where=str(path),
            todo=RESTORE_OR_COPY,
        ) from error
    except UnicodeDecodeError as error:
        raise _not_toml(error, str(path)) from error


def parse_toml(text: str, where: str) -> dict[str, object]:
    """Parse the text of a TOML file. Raises SettingsError naming the line."""
    try:
        return decode_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(error, where) from error


def _not_toml(error: ValueError, where: str) -> SettingsError:
    todo = FIX_LINE
    return SettingsError(NOT_TOML(cause=error), where=where, todo=todo)


def load_settings(path: Path) -> Settings:
    """Load patron.toml. Raises SettingsError naming file, key, value and what is expected."""
    content = read_toml(path)
    unknown = [unknown_key(name, Settings.model_fields) for name in sorted(set(content) - set(Settings.model_fields))]
    if unknown:
        raise SettingsError(joined(unknown), where=str(path), todo=TODO)
    try:
        return Settings(**content)  # pyright: ignore[reportArgumentType] - pydantic checks the values
    except ValidationError as error:
        raise SettingsError(problems_of(error, Settings), where=_where(error, path), todo=TODO) from error
    except EnvironmentError_ as error:
        name = re.search(r'"(\w+)"', str(error))
        variable = f"PATRON_{name[1].upper()}" if name else "PATRON_..."
        raise SettingsError(
            VARIABLE_NOT_JSON,
            where=variable,
            todo=NAME_ONE_KEY(variable=variable, file=path.name),
        ) from error


def _where(error: ValidationError, path: Path) -> str:
    """Where the first wrong value stands: an environment variable wins over the file."""
    variable = f"PATRON_{'__'.join(str(part) for part in error.errors()[0]['loc'])}".upper()
    return variable if variable in os.environ else str(path)
