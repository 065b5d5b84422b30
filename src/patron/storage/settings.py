"""Where we run: patron.toml, overridden by environment variables such as PATRON_SHOP__CURRENCY."""

import tomllib
from pathlib import Path
from typing import Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from patron.schema.errors import SettingsError


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShopSettings(_Section):
    """The shop that Patron works for."""

    name: str = "My shop"
    """Shown in reports and the console."""
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    """ISO 4217 code all amounts are converted to."""
    time_zone: str = "UTC"
    """Time zone of opening hours and weekdays, as in the IANA database."""
    margin_share: float = Field(default=0.3, gt=0, le=1)
    """Contribution margin as a share of the price before discounts, 0 to 1."""
    locale: Literal["en", "zh_CN"] = "en"
    """Language of reports, and of the console before a person chooses."""

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("is not a time zone of the IANA database, such as 'Europe/Berlin'")
        return value


class EngineSettings(_Section):
    """How much of the machine a query may take."""

    memory_gb: float = Field(default=3.0, gt=0)
    """Memory of the embedded engine before it spills to the workspace's tmp folder, GB."""
    threads: int = Field(default=2, ge=1)
    """Threads of the embedded engine."""


class CollectSettings(_Section):
    """What the collector accepts."""

    longest_event_bytes: int = Field(default=32_768, ge=1_024, le=524_288)
    """A longer event is rejected, bytes of JSON."""
    needs_secret_key: tuple[str, ...] = ()
    """Names of events that only a secret key may send, such as "Order Completed"."""
    tracking_plan: Literal["warn", "refuse"] = "warn"
    """What happens to an event that breaks its JSON Schema in the workspace's folder tracking/."""
    test_sources: tuple[str, ...] = ()
    """Sources whose events are test traffic: kept, flagged and not used."""
    test_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    """Hosts of pages whose events are test traffic."""
    requests_per_second: float = Field(default=0, ge=0)
    """Limit of requests per key and second, on average; more are answered with 429. 0 is no limit."""


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
            raise ValueError(f"needs a rate above 0 for {', '.join(bad)}")
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


TOP_LEVEL = frozenset(Settings.model_fields)


def read_toml(path: Path) -> dict[str, object]:
    """Parse a TOML file of the workspace. Raises SettingsError naming the file and line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"cannot be read ({error.strerror})", where=str(path), todo="Run `patron doctor`."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"is not valid TOML ({error})",
            where=str(path),
            todo="Fix the line, or copy the default from a new workspace.",
        ) from error


def load_settings(path: Path) -> Settings:
    """Load patron.toml. Raises SettingsError naming file, key, value and what is expected."""
    content = read_toml(path)
    unknown = sorted(set(content) - TOP_LEVEL)
    if unknown:
        raise SettingsError(
            f"unknown keys {', '.join(unknown)}", where=str(path), todo=f"Known are {', '.join(sorted(TOP_LEVEL))}."
        )
    try:
        return Settings(**content)  # pyright: ignore[reportArgumentType] - pydantic checks the values
    except ValidationError as error:
        raise SettingsError(explain(error), where=str(path), todo="See docs/reference/settings.md.") from error


def explain(error: ValidationError) -> str:
    """Say in one line which keys are wrong and why."""
    return "; ".join(
        f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']} (got {one['input']!r})" for one in error.errors()
    )
