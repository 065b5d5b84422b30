"""A vector for each product that was known before a cutoff: from the catalogue, and from pictures."""

import os
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from patron.recommenders.content import ProductVectors, read_image_vectors
from patron.schema.numbers import Numbers
from patron.schema.table_definition import TIME
from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView

ImageVectors = tuple[pa.Array, Numbers]
"""Product ids, and a matrix with one row for each."""


def image_vectors(path: Path) -> ImageVectors | None:
    """The vectors of pictures; None without a file. Raises BadFile."""
    # why: a link whose file is away, as on a share that is not mounted, must not pass for no pictures
    return read_image_vectors(path) if os.path.lexists(path) else None


def read_products(view: StageView) -> pa.Table:
    """Products known by the run, as `ProductVectors.of` takes them, and known_at."""
    return view.query(f"""
select product_id, product_name as name, description, category, department, brand, price_cents, known_at from products
where product_id is not null and known_at < {timestamp(view.run.as_of)} order by product_id""")


def content_at(products: pa.Table, images: ImageVectors | None, at: datetime) -> ProductVectors:
    """Vectors of the products that were known at a cutoff, from their latest descriptions."""
    known = products.filter(pc.less(products["known_at"], pa.scalar(at, TIME)))
    return ProductVectors.of(known.drop_columns("known_at"), supplied=images)
