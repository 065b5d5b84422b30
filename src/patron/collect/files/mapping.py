"""What a mapping says: which files, which columns, in which currency, time zone and format."""

import re
import tomllib
from dataclasses import dataclass, field, fields
from importlib import resources
from itertools import takewhile
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from patron.collect.files.mapping_checks import check_events, require_known_keys
from patron.schema.common_sentences import FILE_UNREADABLE_CAUSE, USE_ONE_OF
from patron.schema.errors import BadMapping
from patron.schema.sentences import Sentence, Text
from patron.schema.spelling import both, did_you_mean
from patron.schema.toml_texts import decode_toml

NO_SUCH_MAPPING = Sentence("no_such_mapping", "is neither a built-in mapping nor a file")
NAME_MAPPING_FILE = Sentence("name_mapping_file", "Name a TOML file, or one of {names}.")
NOT_A_MAPPING = Sentence("not_a_mapping", "is not a valid mapping ({cause})")
SEE_IMPORT = Sentence("see_import", "See docs/how-to/import-your-data.md.")
MAPPING_NO_NAME = Sentence("mapping_no_name", "has no name")
BEGIN_WITH_NAME = Sentence("begin_with_name", 'Begin it with a name, such as name = "my-shop".')
UNKNOWN_FORMAT = Sentence("unknown_format", "unknown format {name}")
REFUNDS_KNOWN_AS = Sentence("refunds_known_as", "refunds_known_at is {value}")
IMPORT_OR_ORDER = Sentence("import_or_order", "Write import (the default) or order.")
NOT_CURRENCY = Sentence("not_currency", "{name} is not a valid ISO 4217 code")
CURRENCY_SUCH_AS = Sentence("currency_such_as", "Write one such as EUR.")
NOT_TIME_ZONE = Sentence("not_time_zone", "{name} is not a valid time zone")
ZONE_SUCH_AS = Sentence("zone_such_as", "Write one such as Europe/Berlin.")
NEEDS_PART = Sentence("needs_part", "needs at least one [[part]]")
ADD_PART = Sentence("add_part", "Add one that says what the rows are.")
UNKNOWN_MAPPING_KEY = Sentence("unknown_mapping_key", "unknown key: {key}")
UNKNOWN_LOOKUP_KEY = Sentence("unknown_lookup_key", "unknown key of a [[lookup]]: {key}")
UNKNOWN_PART_KEY = Sentence("unknown_part_key", "unknown key of a [[part]]: {key}")
UNKNOWN_COLUMN = Sentence("unknown_column", "unknown column of part {part}: {key}")
LOOKUP_LACKS = Sentence("lookup_lacks", "lookup {name} has no {key}")
PART_LACKS = Sentence("part_lacks", "part {name} has no {key}")
NEEDS_KEYS = Sentence("needs_keys", "It needs {names}.")
MAP_TIME = Sentence("map_time", "Map the time of its rows to it.")

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
                NO_SUCH_MAPPING,
                where=str(named),
                todo=both(did_you_mean(str(named), BUILT_IN), _name_built_in()),
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise BadMapping(FILE_UNREADABLE_CAUSE(cause=error), where=str(named), todo=_name_built_in()) from error
    try:
        return _mapping(decode_toml(text), str(named))
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise BadMapping(NOT_A_MAPPING(cause=error), where=str(named), todo=SEE_IMPORT) from error


def _name_built_in() -> Text:
    return NAME_MAPPING_FILE(names=", ".join(BUILT_IN))


def _mapping(content: dict[str, Any], where: str) -> Mapping:
    require_known_keys(content, TOP, where, UNKNOWN_MAPPING_KEY)
    if "name" not in content:
        raise BadMapping(MAPPING_NO_NAME, where=where, todo=BEGIN_WITH_NAME)
    lookups = tuple(_lookup(one, where) for one in content.pop("lookup", ()))
    parts = tuple(_part(one, where) for one in content.pop("part", ()))
    mapping = Mapping(**content, lookups=lookups, parts=parts)
    if mapping.format not in FORMATS:
        what = UNKNOWN_FORMAT(name=mapping.format)
        raise BadMapping(what, where=where, todo=USE_ONE_OF(names=", ".join(FORMATS)))
    if mapping.refunds_known_at not in REFUNDS_KNOWN_AT:
        raise BadMapping(REFUNDS_KNOWN_AS(value=mapping.refunds_known_at), where=where, todo=IMPORT_OR_ORDER)
    if mapping.currency is not None and not re.fullmatch("[A-Z]{3}", str(mapping.currency)):
        raise BadMapping(NOT_CURRENCY(name=mapping.currency), where=where, todo=CURRENCY_SUCH_AS)
    if mapping.zone not in available_timezones():
        raise BadMapping(NOT_TIME_ZONE(name=mapping.zone), where=where, todo=ZONE_SUCH_AS)
    if mapping.format == "rows" and not parts:
        raise BadMapping(NEEDS_PART, where=where, todo=ADD_PART)
    return mapping


def _lookup(content: dict[str, Any], where: str) -> Lookup:
    require_known_keys(content, {field_.name for field_ in fields(Lookup)}, where, UNKNOWN_LOOKUP_KEY)
    _require_keys(LOOKUP_LACKS, content, ("name", "files", "sql"), where)
    return Lookup(**{**content, "columns": tuple(content.get("columns", ()))})


def _require_keys(lacking: Sentence, content: dict[str, Any], needed: tuple[str, ...], where: str) -> None:
    missing = [key for key in needed if key not in content]
    if missing:
        what = lacking(name=str(content.get("name")), key=missing[0])
        raise BadMapping(what, where=where, todo=NEEDS_KEYS(names=", ".join(needed)))


def _part(content: dict[str, Any], where: str) -> Part:
    name = str(content.get("name"))
    require_known_keys(content, {field_.name for field_ in fields(Part)}, where, UNKNOWN_PART_KEY)
    _require_keys(PART_LACKS, content, ("name", "event", "columns"), where)
    check_events(name, content["event"], where)
    require_known_keys(content["columns"], COLUMNS, where, UNKNOWN_COLUMN, part=name)
    if "occurred_at" not in content["columns"]:
        raise BadMapping(PART_LACKS(name=name, key="occurred_at"), where=where, todo=MAP_TIME)
    return Part(
        **{
            **content,
            "id": tuple(content.get("id", ())),
            "optional": tuple(content.get("optional", ())),
            "derived": tuple(content.get("derived", ())),
        }
    )
