"""What a table's columns are to a model: numbers, texts with levels, or nothing that it can learn from."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.errors import BadComparison
from patron.schema.numbers import Numbers

Index = npt.NDArray[np.intp]
Kind = Literal["number", "text", "text of numbers", "time"]
NUMBER = r"^\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*$"
ID_NAME = re.compile(
    r"^ids?[_ ]|(^|[_\W])(ids?|uuid|guid)$|"
    r"(customer|user|session|order|visitor|client|account|person|member|household|device|cookie)_?id$",
    re.IGNORECASE,
)
CAMEL_ID = re.compile(r"[a-z]I[Dd]$")
PLACE_NAME = re.compile(
    r"post|zip|plz|city|town|region|county|state|country|store|branch|shop|warehouse|sku|product|item|article|"
    r"brand|categor|campaign|plan|channel|browser|sector|industr",
    re.IGNORECASE,
)
PERSON_NAME = re.compile(
    r"customer|user|client|visitor|member|person|patient|account|household|mail|subscriber", re.IGNORECASE
)
MIN_IDS, ID_SHARE = 50, 0.02
"""An identifier has more different values than this, and than this share of its rows."""
FREE_TEXT_SHARE = 0.5
"""A text column with more different values than this share of its rows names rows, it does not describe them."""
NUMBERS_SHARE = 0.95
NUMBER_KINDS = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
)
SECONDS_A_DAY = 86_400
MAX_VALUE = 1e30
"""Numbers are cut off here: trees hold them with single precision."""
SAME_KIND = "Give the column as it was."


@dataclass(frozen=True)
class TextColumn:
    """Texts as places in a list of levels; -1 is missing."""

    codes: npt.NDArray[np.int32]
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Columns:
    """The columns that a model may learn from, of some rows."""

    numbers: Mapping[str, Numbers]
    """NaN is missing."""
    texts: Mapping[str, TextColumn]
    row_count: int

    @property
    def names(self) -> tuple[str, ...]:
        """Every column, numbers first."""
        return (*self.numbers, *self.texts)

    def take(self, rows: Index) -> Self:
        """Some of the rows."""
        texts = {name: TextColumn(text.codes[rows], text.levels) for name, text in self.texts.items()}
        return type(self)({name: values[rows] for name, values in self.numbers.items()}, texts, len(rows))

    def select(self, names: Collection[str]) -> Self:
        """Some of the columns."""
        numbers = {name: values for name, values in self.numbers.items() if name in names}
        return type(self)(numbers, {name: text for name, text in self.texts.items() if name in names}, self.row_count)


@dataclass(frozen=True)
class ColumnKinds:
    """How each column of a table is read; the same for every table that is predicted later."""

    kinds: Mapping[str, Kind]
    left_out: Mapping[str, str]
    """Columns that no model sees, each with the reason."""

    @classmethod
    def of(cls, table: pa.Table, exclude: Iterable[str]) -> Self:
        """Look at every column but the excluded ones."""
        kinds: dict[str, Kind] = {}
        left_out: dict[str, str] = {}
        names = [name for name in table.column_names if name not in set(exclude)]
        for name in names:
            kind = _kind(table[name])
            reason = "it holds neither numbers nor texts" if kind is None else _reason(name, table[name], kind)
            if kind is None or reason:
                left_out[name] = reason
            else:
                kinds[name] = kind
        return cls(kinds, left_out)

    def read(self, table: pa.Table) -> Columns:
        """The columns as numbers and levels. Raises BadComparison for one that is missing or of another kind."""
        refuse_repeated_names(table)
        missing = [name for name in self.kinds if name not in table.column_names]
        if missing:
            raise BadComparison(
                f"the table has no column {', '.join(missing)}", todo="The model learned from it: add it."
            )
        numbers = {name: _numbers(name, table[name], kind) for name, kind in self.kinds.items() if kind != "text"}
        texts = {name: _texts(name, table[name]) for name, kind in self.kinds.items() if kind == "text"}
        return Columns(numbers, texts, table.num_rows)


def refuse_repeated_names(table: pa.Table) -> None:
    """Raise BadComparison where several columns have one name."""
    repeated = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if repeated:
        raise BadComparison(f"several columns are called {', '.join(repeated)}", todo="Rename all but one.")


def looks_like_id(name: str) -> bool:
    """Whether a column's name says that it identifies a row or a person."""
    return bool(ID_NAME.search(name) or CAMEL_ID.search(name))


def is_place_or_thing(name: str) -> bool:
    """Whether a column's name is of a place or thing: many people share one, and what is learned of it holds on."""
    return bool(PLACE_NAME.search(name)) and not PERSON_NAME.search(name)


def distinct_count(values: pa.ChunkedArray) -> int:
    """Different values, missing ones not counted."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return 0 if pa.types.is_null(values.type) else pc.count_distinct(values, mode="only_valid").as_py()


def value_codes(values: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], list[Any]]:
    """The place of each value in a list of the different ones; -1 is missing."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    encoded = values.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()


def missing_count(values: pa.ChunkedArray) -> int:
    """Values that are missing: null, not a number, or blank."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    is_missing = pc.is_null(values, nan_is_null=True)
    if is_text(values.type):
        is_missing = pc.or_(is_missing, pc.invert(pc.fill_null(pc.match_substring_regex(values, r"\S"), False)))
    return pc.sum(is_missing).as_py() or 0


def text_values(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts without a dictionary."""
    return values.cast(pa.large_string())


def is_text(kind: pa.DataType) -> bool:
    """Whether values are texts, in a dictionary or not."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _kind(values: pa.ChunkedArray) -> Kind | None:
    kind = values.type
    if any(is_kind(kind) for is_kind in NUMBER_KINDS):
        return "number"
    if _is_time(kind):
        return "time"
    if pa.types.is_dictionary(kind) and not is_text(kind):
        is_readable = _is_time(kind.value_type) or any(is_kind(kind.value_type) for is_kind in NUMBER_KINDS)
        return _kind(values.cast(kind.value_type)) if is_readable else None
    if not is_text(kind):
        return None
    written = _written(values)
    if not len(written):
        return "text"
    return "text of numbers" if pc.mean(pc.match_substring_regex(written, NUMBER)).as_py() >= NUMBERS_SHARE else "text"


def _is_time(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def _days(values: pa.ChunkedArray, kind: pa.DataType) -> Numbers:
    """Days since 1970, with fractions."""
    if pa.types.is_date32(kind):
        return _floats(values.cast(pa.int32()).cast(pa.float64()))
    per_second = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[getattr(kind, "unit", "ms")]
    counts = values.cast(pa.int64()).cast(pa.float64(), safe=False)
    return _floats(pc.divide(counts, per_second * SECONDS_A_DAY))


def _reason(name: str, values: pa.ChunkedArray, kind: Kind) -> str:
    """Why a model must not see a column, or ''."""
    distinct, known = distinct_count(values), len(values) - values.null_count
    if not distinct:
        return "it has no value"
    if distinct < 2 and not values.null_count:
        return "it has one value only"
    if looks_like_id(name) and not is_place_or_thing(name) and distinct > max(MIN_IDS, ID_SHARE * known):
        return "it identifies rows or people"
    if kind == "text" and distinct > FREE_TEXT_SHARE * known and known > 20:
        return "nearly every row has a text of its own"
    return ""


def _written(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts that are not blank."""
    texts = text_values(values).drop_null()
    return texts.filter(pc.match_substring_regex(texts, r"\S"))


def _numbers(name: str, values: pa.ChunkedArray, kind: Kind) -> Numbers:
    read = values.type
    if pa.types.is_dictionary(read):
        values, read = values.cast(read.value_type), read.value_type
    if _is_time(read):
        if kind != "time":
            raise BadComparison("has times, and had numbers when the model learned", where=name, todo=SAME_KIND)
        return _days(values, read)
    if is_text(read):
        if kind == "time":
            raise BadComparison("has texts, and had times when the model learned", where=name, todo=SAME_KIND)
        texts = text_values(values)
        is_number = pc.match_substring_regex(texts, NUMBER)
        if kind == "number":
            _refuse_words(name, texts, is_number)
        values = pc.if_else(is_number, pc.utf8_trim_whitespace(texts), pa.scalar(None, pa.large_string()))
    if kind == "time" and not pa.types.is_null(read):
        raise BadComparison("has numbers, and had times when the model learned", where=name, todo=SAME_KIND)
    try:
        return _floats(values.cast(pa.float64(), safe=False))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        what = f"has {read}, and had numbers when the model learned"
        raise BadComparison(what, where=name, todo=SAME_KIND) from error


def _refuse_words(name: str, texts: pa.ChunkedArray, is_number: pa.ChunkedArray) -> None:
    """Raise BadComparison for a text that is neither blank nor a number."""
    words = texts.filter(pc.and_not(pc.match_substring_regex(texts, r"\S"), is_number))
    if len(words):
        what = f"has the text {words[0].as_py()!r}, and had numbers when the model learned"
        raise BadComparison(what, where=name, todo=SAME_KIND)


def _floats(values: Any) -> Numbers:
    filled = values.combine_chunks().fill_null(np.nan)
    numbers = np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.where(np.isfinite(numbers), np.clip(numbers, -MAX_VALUE, MAX_VALUE), np.nan)


def _texts(name: str, values: pa.ChunkedArray) -> TextColumn:
    if not is_text(values.type):
        try:
            values = values.cast(pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            what = f"has {values.type}, and had texts when the model learned"
            raise BadComparison(what, where=name, todo=SAME_KIND) from error
    codes, levels = value_codes(text_values(values))
    return TextColumn(codes.astype(np.int32), tuple(levels))
