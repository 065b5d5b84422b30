"""What a mapping says: which files, which columns, in which currency, time zone and format."""

import re
import tomllib
from dataclasses import dataclass, field, fields
from importlib import resources
from itertools import takewhile
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from patron.collect.files.mapping_checks import check_events, check_keys
from patron.schema.common_sentences import FILE_UNREADABLE_CAUSE
from patron.schema.errors import BadMapping
from patron.schema.spelling import did_you_mean

MAPPINGS = resources.files("patron.collect") / "mappings"
BUILT_IN = tuple(sorted(Path(file.name).stem for file in MAPPINGS.iterdir() if file.name.endswith(".toml")))
FORMATS = ("rows", "segment", "raw_events")
REFUNDS_KNOWN_AT = ("import", "order")
"""When refunds that a file does not date become known."""
AMOUNTS = {
    "price": "price_cents",
    "discount": "discount_cents",
    "revenue": "revenue_cents",
    "total": "total_cents",
    "shipping": "shipping_cents",
    "tax": "tax_cents",
}
COLUMNS = frozenset(
    {
        *AMOUNTS,
        "user_id",
        "anonymous_id",
        "referred_user_id",
        "occurred_at",
        "order_id",
        "product_id",
        "product_name",
        "department",
        "category",
        "brand",
        "quantity",
        "coupon",
        "currency",
        "rating",
        "campaign_id",
        "decision_id",
        "channel",
        "device",
        "products",
    }
)
TOP = frozenset(
    {
        "name",
        "source",
        "version",
        "format",
        "currency",
        "time_zone",
        "delimiter",
        "encoding",
        "decimal_comma",
        "refunds_known_at",
        "lookup",
        "part",
    }
)


@dataclass(frozen=True)
class Lookup:
    """A small table made from a whole file, that rows of parts are joined with."""

    name: str
    files: str
    sql: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """How rows of some files become events of one kind."""

    name: str
    event: str | dict[str, str]
    columns: dict[str, Any]
    files: str = "*"
    where: str = "true"
    join: str = ""
    id: tuple[str, ...] = ()
    """Columns that are the source's own id; without them the id comes from the whole row."""
    optional: tuple[str, ...] = ()
    """Columns that a file may lack."""
    derived: tuple[str, ...] = ()
    """Names that the join makes, which no file has."""
    traits: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    """Reason code and the condition under which a row is rejected."""

    @property
    def order_date(self) -> str | None:
        """Column with the time of the order, of a part whose rows may have no date of their own."""
        occurred_at = self.columns["occurred_at"]
        return occurred_at.get("undated") if isinstance(occurred_at, dict) else None


@dataclass(frozen=True)
class Mapping:
    """How files of one source become events."""

    name: str
    source: str = ""
    """Source of its events; left out, the mapping's name."""
    version: int = 1
    format: str = "rows"
    """rows (parts say what a row is), segment (messages as JSON lines) or raw_events (a Parquet file of raw events)."""
    currency: str | None = None
    time_zone: str | None = None
    delimiter: str | None = None
    encoding: str = "utf-8"
    decimal_comma: bool = False
    refunds_known_at: str = "import"
    """When refunds without a date become known: at the `import`, or at their `order`, too early for the past."""
    lookups: tuple[Lookup, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def zone(self) -> str:
        """Time zone of times that do not state one."""
        return self.time_zone or "UTC"


def description(built_in: str) -> str:
    """The comment that a built-in mapping's file begins with."""
    text = (MAPPINGS / f"{built_in}.toml").read_text(encoding="utf-8")
    lines = takewhile(lambda line: line.startswith("#"), text.splitlines())
    return "\n".join(line.removeprefix("#").strip() for line in lines)


def load_mapping(named: str | Path) -> Mapping:
    """Load a built-in mapping by name or a TOML file by path. Raises BadMapping naming the file and what is wrong."""
    if str(named) in BUILT_IN:
        text = (MAPPINGS / f"{named}.toml").read_text(encoding="utf-8")
    else:
        try:
            text = Path(named).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise BadMapping(
                "there is no built-in mapping and no file of this name",
                where=str(named),
                todo=f"{did_you_mean(str(named), BUILT_IN)} Name a TOML file, or one of {', '.join(BUILT_IN)}.".strip(),
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise BadMapping(
                FILE_UNREADABLE_CAUSE(cause=error),
                where=str(named),
                todo=f"Name a TOML file, or one of {', '.join(BUILT_IN)}.",
            ) from error
    try:
        return _mapping(tomllib.loads(text), str(named))
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise BadMapping(
            f"is not a valid mapping ({error})", where=str(named), todo="See docs/how-to/import-your-data.md."
        ) from error


def _mapping(content: dict[str, Any], where: str) -> Mapping:
    check_keys("key", content, TOP, where)
    if "name" not in content:
        raise BadMapping("has no name", where=where, todo='Begin it with a name, such as name = "my-shop".')
    lookups = tuple(_lookup(one, where) for one in content.pop("lookup", ()))
    parts = tuple(_part(one, where) for one in content.pop("part", ()))
    mapping = Mapping(**content, lookups=lookups, parts=parts)
    if mapping.format not in FORMATS:
        raise BadMapping(f"unknown format {mapping.format}", where=where, todo=f"Known are {', '.join(FORMATS)}.")
    if mapping.refunds_known_at not in REFUNDS_KNOWN_AT:
        raise BadMapping(
            f"refunds_known_at is {mapping.refunds_known_at}", where=where, todo="Write import (the default) or order."
        )
    if mapping.currency is not None and not re.fullmatch("[A-Z]{3}", str(mapping.currency)):
        raise BadMapping(f"{mapping.currency} is not a valid ISO 4217 code", where=where, todo="Write one such as EUR.")
    if mapping.zone not in available_timezones():
        raise BadMapping(
            f"{mapping.zone} is not a valid time zone", where=where, todo="Write one such as Europe/Berlin."
        )
    if mapping.format == "rows" and not parts:
        raise BadMapping("needs at least one [[part]]", where=where, todo="Say what its rows are.")
    return mapping


def _lookup(content: dict[str, Any], where: str) -> Lookup:
    check_keys("key of a [[lookup]]", content, {field_.name for field_ in fields(Lookup)}, where)
    _require_keys(f"lookup {content.get('name')}", content, ("name", "files", "sql"), where)
    return Lookup(**{**content, "columns": tuple(content.get("columns", ()))})


def _require_keys(what: str, content: dict[str, Any], needed: tuple[str, ...], where: str) -> None:
    missing = [key for key in needed if key not in content]
    if missing:
        raise BadMapping(f"{what} has no {missing[0]}", where=where, todo=f"It needs {', '.join(needed)}.")


def _part(content: dict[str, Any], where: str) -> Part:
    name = str(content.get("name"))
    check_keys("key of a [[part]]", content, {field_.name for field_ in fields(Part)}, where)
    _require_keys(f"part {name}", content, ("name", "event", "columns"), where)
    check_events(name, content["event"], where)
    check_keys(f"column of part {name}", content["columns"], COLUMNS, where)
    if "occurred_at" not in content["columns"]:
        raise BadMapping(f"part {name} has no occurred_at", where=where, todo="Say when its rows happened.")
    return Part(
        **{
            **content,
            "id": tuple(content.get("id", ())),
            "optional": tuple(content.get("optional", ())),
            "derived": tuple(content.get("derived", ())),
        }
    )
