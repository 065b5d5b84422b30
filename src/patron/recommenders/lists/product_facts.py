"""What rules ask of each product, as arrays: made once a night, looked up by number for each candidate."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.recommenders.best_items import Flags
from patron.recommenders.ids import Codes, codes_of_ids, plain_ids, without_dictionary
from patron.recommenders.lists.kernel_arrays import kernel_array
from patron.schema.errors import BadInteractions, BadListInput
from patron.schema.frames import table_without_index
from patron.schema.numbers import Numbers, float_column

Vectors = npt.NDArray[np.float32]
WHERE = "products"
LABELS = ("category", "brand", "style_id")
RANGES = {"price_cents": (0.0, np.inf), "margin_share": (-np.inf, 1.0), "stock": (-np.inf, np.inf)}
"""Lowest and highest value of each column of numbers."""
FLAGS = ("is_blocked", "is_consumable", "is_tail")
KINDS = (
    dict.fromkeys(("category", "brand", "style"), np.int64)
    | dict.fromkeys(RANGES, np.float64)
    | dict.fromkeys((*FLAGS, "has_vector"), np.bool_)
    | {"vectors": np.float32}
)
"""Type of each array."""


@dataclass(frozen=True, eq=False)
class ProductFacts:
    """Facts of a catalogue's products, in the order of their ids; what is not known breaks no rule."""

    products: pa.Array
    """Ids of the products, sorted, each once."""
    category: Codes
    """Place in `categories`; -1 where it is not known."""
    categories: tuple[str, ...]
    """Names of the categories, sorted."""
    brand: Codes
    """Number of the brand; -1 where it is not known."""
    style: Codes
    """Number of the style, which its variants share; a product without a style has one of its own."""
    price_cents: Numbers
    """Price, cents; NaN where it is not known."""
    margin_share: Numbers
    """Margin as a share of the price, 1 at most; NaN where it is not known."""
    stock: Numbers
    """Units that can be sold now; NaN where it is not known."""
    is_blocked: Flags
    """Whether the shop never recommends it."""
    is_consumable: Flags
    """Whether it is bought again when it is used up."""
    is_tail: Flags
    """Whether it belongs to the long tail, which lists keep places for."""
    vectors: Vectors
    """Products x dimensions, of length 1, or of length 0 where nothing is known of a product."""
    has_vector: Flags
    """Whether the product's vector is of length 1."""

    def __post_init__(self) -> None:
        """Bring the arrays into one kind. Raises BadListInput for those that are not one value per product."""
        for name, kind in KINDS.items():
            values = kernel_array(getattr(self, name), kind)
            if len(values) != len(self.products):
                what = f"{name} has {len(values)} values for {len(self.products)} products"
                raise _bad(what, "Pass one value per product.")
            object.__setattr__(self, name, values)
        if len(self.style) and self.style.min() < 0:
            raise _bad("a style is below 0", "Give each product without a style a number of its own.")

    @classmethod
    def of(cls, frame: Any) -> Self:
        """Read a frame with product_id, and where it has them category, brand, style_id, price_cents, margin_share,
        stock, is_blocked, is_consumable and is_tail.

        Other columns are not read. Of several rows of a product the last one counts. An empty text is not known; no
        flag is False. Raises BadListInput.
        """  # noqa: D205 - one sentence
        table = _product_table(frame)
        products = pc.unique(table["product_id"]).sort() if table.num_rows else table["product_id"].combine_chunks()
        codes = codes_of_ids(table["product_id"], products)
        last = np.empty(len(products), dtype=np.int64)
        last[codes] = np.arange(len(codes))  # of equal places the last one stays
        table = table.take(pa.array(last))
        (category, categories), (brand, _), (style, styles) = (_labels(table, name) for name in LABELS)
        return cls(
            products=products,
            category=category,
            categories=tuple(categories.to_pylist()),
            brand=brand,
            style=np.where(style < 0, len(styles) + np.arange(len(products)), style),
            price_cents=_numbers(table, "price_cents"),
            margin_share=_numbers(table, "margin_share"),
            stock=_numbers(table, "stock"),
            is_blocked=_flags(table, "is_blocked"),
            is_consumable=_flags(table, "is_consumable"),
            is_tail=_flags(table, "is_tail"),
            vectors=np.zeros((len(products), 0), dtype=np.float32),
            has_vector=np.zeros(len(products), dtype=np.bool_),
        )

    def __len__(self) -> int:
        """How many products."""
        return len(self.products)

    def codes(self, ids: Any) -> Codes:
        """Number of each product, -1 of one that is not in the catalogue."""
        return codes_of_ids(ids, self.products)

    def with_vectors(self, vectors: npt.ArrayLike) -> Self:
        """The facts with a vector per product, from which similarity is a cosine; of any length, 0 is not known.

        Raises BadListInput.
        """
        values = np.array(vectors, dtype=np.float64)
        if values.ndim != 2 or len(values) != len(self) or not np.isfinite(values).all():
            what = f"vectors are of shape {values.shape}, or not finite, for {len(self)} products"
            raise _bad(what, "Pass one row of finite numbers per product.")
        lengths = np.linalg.norm(values, axis=1)
        values /= np.where(lengths > 0, lengths, 1)[:, None]
        return replace(self, vectors=values.astype(np.float32), has_vector=lengths > 0)

    @cached_property
    def exclusion_cache(self) -> dict[Any, npt.NDArray[np.int8]]:
        """What rules exclude whoever the customer is, by rules; of the newest few of them."""
        return {}


def _product_table(frame: Any) -> pa.Table:
    """The columns that are read, with plain ids. Raises BadListInput."""
    try:
        table = table_without_index(frame)
    except TypeError as error:
        raise _bad(str(error), "Pass a frame of pandas, Polars, DuckDB or Arrow.") from error
    names = [name for name in ("product_id", *LABELS, *RANGES, *FLAGS) if name in table.column_names]
    for name in names:
        if table.column_names.count(name) > 1:
            raise _bad(f"{table.column_names.count(name)} columns are called {name}", "Keep one of them.")
    if "product_id" not in names:
        raise _bad("there is no column product_id", f"Rename one of {', '.join(table.column_names)} to product_id.")
    table = table.select(names)
    try:
        ids = plain_ids(table["product_id"])
    except (BadInteractions, pa.ArrowException) as error:
        what = f"product_id holds no ids: {table['product_id'].type}"
        raise _bad(what, "Pass texts or whole numbers.") from error
    count = ids.null_count + (pc.sum(pc.is_nan(ids)).as_py() or 0 if pa.types.is_floating(ids.type) else 0)
    if count:
        raise _bad(f"{count} of {table.num_rows} rows have no product_id", "Leave these rows out, or fill them in.")
    return table.set_column(names.index("product_id"), "product_id", ids)


def _labels(table: pa.Table, name: str) -> tuple[Codes, pa.Array]:
    """Number of each product's label, -1 without one, and the labels in order."""
    if name not in table.column_names:
        return np.full(table.num_rows, -1), pa.array([], pa.string())
    column = without_dictionary(table[name])
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    try:
        texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    except pa.ArrowException as error:
        raise _bad(f"{name} is not text: {column.type}", f"Pass one {name} per product.") from error
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    names = pc.unique(texts).drop_null().sort()
    return codes_of_ids(texts, names), names


def _numbers(table: pa.Table, name: str) -> Numbers:
    """A column of numbers, NaN where they are not known."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    kind = table[name].type
    try:
        values = np.array(float_column(table, name, missing=np.nan))
    except pa.ArrowException as error:
        raise _bad(f"{name} is not a number: {kind}", "Pass numbers.") from error
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        raise _bad(f"{name} is not a number: {kind}", "Pass numbers.")
    least, most = RANGES[name]
    is_wrong = (values < least) | (values > most) | (np.isinf(values) & (name != "stock"))
    if is_wrong.any():
        example = table["product_id"][int(np.argmax(is_wrong))].as_py()
        what = f"{int(is_wrong.sum())} products have a {name} out of range, such as {example!r}"
        raise _bad(what, f"It is from {least:g} to {most:g}, and finite.")
    return values


def _flags(table: pa.Table, name: str) -> Flags:
    """A column of yes and no; False where it is not known."""
    if name not in table.column_names:
        return np.zeros(table.num_rows, dtype=np.bool_)
    kind = table[name].type
    is_number = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    values = np.nan_to_num(float_column(table, name)) if is_number else np.full(table.num_rows, np.nan)
    if not (pa.types.is_null(kind) or np.isin(values, (0.0, 1.0)).all()):
        raise _bad(f"{name} is not yes or no: {kind}", "Pass true and false.")
    return values == 1


def _bad(what: str, todo: str) -> BadListInput:
    return BadListInput(what, where=WHERE, todo=todo)
